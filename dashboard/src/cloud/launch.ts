// Whether a size can be launched: what it needs against the image and the quota left.
import type { Flavor, Image } from './kinds';
import type { Amount } from './session';
import { mib } from './words';

/** What the dashboard's server says of a size. */
export interface Fit {
  fits: boolean;
  lacking: string | null;
  why: string | null;
}

/** Why `count` servers of this size cannot be launched from this image within these quotas; nothing if they can. */
export function shortOf(flavor: Flavor, image: Pick<Image, 'min_disk' | 'min_ram'> | undefined, count: number, quotas: Partial<Record<'instances' | 'cores' | 'ram', Amount>> | undefined): string | undefined {
  if (image && flavor.disk > 0 && image.min_disk > flavor.disk) return `The image needs a disk of ${image.min_disk} GiB.`;
  if (image && image.min_ram > flavor.ram) return `The image needs ${mib(image.min_ram)} of memory.`;
  const needs: ['instances' | 'cores' | 'ram', number, string, (value: number) => string][] = [
    ['instances', count, 'instances', String], ['cores', count * flavor.vcpus, 'vCPUs', String], ['ram', count * flavor.ram, 'memory', mib],
  ];
  for (const [name, need, word, show] of needs) {
    const amount = quotas?.[name];
    if (!amount || amount.limit < 0) continue;
    const left = Math.max(0, amount.limit - amount.used);
    if (need > left) return `Your quota has ${show(left)} ${word} left; this needs ${show(need)}.`;
  }
  return undefined;
}
