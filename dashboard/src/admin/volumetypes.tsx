// Volume types: which back end takes a volume, and how fast it may be. They are made by the command.
import { useQuery } from '@tanstack/react-query';
import type { VolumeType } from '../cloud/kinds';
import { useHere, useThings } from '../cloud/session';
import { metadataText } from '../cloud/volumes';
import { List } from '../parts/list';
import { Copy } from '../parts/small';
import { useBlock } from '../parts/volumes';
import { AdminOnly } from './only';

export const VolumeTypes = () => <AdminOnly><TypeList /></AdminOnly>;

interface Qos { id: string; name: string; consumer: string; specs: Record<string, string> }
const WHERE: Record<string, string> = { 'front-end': 'kept by hosts', 'back-end': 'kept by the back end', both: 'kept by both' };

function TypeList() {
  const { things, loading, error } = useThings('volume-types');
  const { project } = useHere();
  const block = useBlock();
  const qos = useQuery({ queryKey: [project.id, 'volume-types', 'qos'], queryFn: () => block<{ qos_specs: Qos[] }>('/qos-specs').then((answer) => answer.qos_specs), refetchInterval: 30_000 }).data ?? [];
  const usual = useQuery({ queryKey: [project.id, 'volume-types', 'usual'], queryFn: () => block<{ volume_type: VolumeType }>('/types/default').then((answer) => answer.volume_type.name), staleTime: 60_000, retry: false }).data;
  const limits = (type: VolumeType) => {
    const found = qos.find((one) => one.id === type.qos_specs_id);
    return found ? `${found.name}: ${metadataText(found.specs).replaceAll('\n', ', ') || 'no limits'}, ${WHERE[found.consumer] ?? found.consumer}` : '–';
  };
  const specs = (type: VolumeType) => metadataText(type.extra_specs ?? {}).replaceAll('\n', ', ') || '–';
  return (
    <List
      title="Volume types"
      one="volume type"
      things={things}
      loading={loading}
      error={error}
      id={(type) => type.id}
      name={(type) => type.name}
      columns={[
        { id: 'name', header: 'Name', cell: (type) => type.name, by: (type) => type.name, width: 140 },
        { id: 'default', header: 'Without a wish', cell: (type) => (type.name === usual ? 'This one' : '–'), by: (type) => String(type.name !== usual) },
        { id: 'public', header: 'For', cell: (type) => (type.is_public ? 'Every project' : 'Some projects'), by: (type) => String(type.is_public) },
        { id: 'qos', header: 'Limits', cell: limits, by: limits },
        { id: 'specs', header: 'Properties', cell: specs, by: specs },
        { id: 'description', header: 'Description', cell: (type) => type.description || '–', by: (type) => type.description ?? '' },
        { id: 'id', header: 'Id', cell: (type) => <Copy text={type.id} /> },
      ]}
    />
  );
}
