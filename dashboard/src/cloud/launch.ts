// Whether a size can be launched: what it needs against the image and the quota left.
import type { Option } from './cli';
import type { Flavor, Image, Server } from './kinds';
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

/** Why a server cannot get this size within these quotas; nothing if it can. */
export function shortOfResize(flavor: Flavor, server: Server, quotas: Partial<Record<'cores' | 'ram', Amount>> | undefined): string | undefined {
  if (server.image && flavor.disk < server.flavor.disk) return `Its disk has ${server.flavor.disk} GiB, and a disk does not become smaller.`;
  const more = { ...flavor, vcpus: Math.max(0, flavor.vcpus - server.flavor.vcpus), ram: Math.max(0, flavor.ram - server.flavor.ram) };
  return shortOf(more, undefined, 1, quotas && { cores: quotas.cores, ram: quotas.ram });
}

/** What a server starts from: an image on its host, an image copied to a new volume, or a volume that is there. */
export type Boot = { from: 'image'; image: string } | { from: 'new-volume'; image: string; size: number; goes: boolean } | { from: 'volume'; volume: string };

/** What `POST /servers` says of it. */
export function bootBody(boot: Boot): Record<string, unknown> {
  if (boot.from === 'image') return { imageRef: boot.image };
  const disk = boot.from === 'volume'
    ? { source_type: 'volume', uuid: boot.volume, delete_on_termination: false }
    : { source_type: 'image', uuid: boot.image, volume_size: boot.size, delete_on_termination: boot.goes };
  return { imageRef: '', block_device_mapping_v2: [{ boot_index: 0, destination_type: 'volume', ...disk }] };
}

/** The options that say the same; `name` is the image's or the volume's. */
export function bootOptions(boot: Boot, name: string): Option[] {
  if (boot.from === 'image') return [['image', name]];
  if (boot.from === 'volume') return [['volume', name]];
  if (!boot.goes) return [['image', name], ['boot-from-volume', boot.size]];
  return [['block-device', `uuid=${boot.image || 'IMAGE-ID'},source_type=image,destination_type=volume,boot_index=0,volume_size=${boot.size},delete_on_termination=true`]];
}
