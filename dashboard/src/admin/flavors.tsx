// Flavors: the sizes of instances.
import { useState } from 'react';
import { openstack } from '../cloud/cli';
import { COMPUTE } from '../cloud/kinds';
import { useAsk, useThings } from '../cloud/session';
import { mib } from '../cloud/words';
import { flag, FormDialog, text, type Field } from '../parts/form';
import { List } from '../parts/list';
import { Copy } from '../parts/small';
import { AdminOnly } from './only';

const whole = (least: number) => (value: string) => (/^\d{1,9}$/.test(value) && Number(value) >= least ? undefined : `A whole number from ${least}.`);
const FIELDS: Field[] = [
  { name: 'name', label: 'Name', placeholder: 'm1.small' },
  { name: 'vcpus', label: 'vCPUs', kind: 'number', initial: '1', wrong: whole(1) },
  { name: 'ram', label: 'Memory, in MiB', kind: 'number', initial: '1024', wrong: whole(1) },
  { name: 'disk', label: 'Disk, in GiB', kind: 'number', initial: '10', hint: '0: as large as the image.', wrong: whole(0) },
  { name: 'public', label: 'For every project', kind: 'check', initial: true },
];

export const Flavors = () => <AdminOnly><FlavorList /></AdminOnly>;

function FlavorList() {
  const { things, loading, error } = useThings('flavors');
  const ask = useAsk();
  const [open, setOpen] = useState(false);
  return (
    <>
      <List
        title="Flavors"
        one="flavor"
        things={things}
        loading={loading}
        error={error}
        id={(flavor) => flavor.id}
        name={(flavor) => flavor.name}
        create={{ label: 'Create flavor', go: () => setOpen(true) }}
        columns={[
          { id: 'name', header: 'Name', cell: (flavor) => flavor.name, by: (flavor) => flavor.name },
          { id: 'vcpus', header: 'vCPUs', cell: (flavor) => flavor.vcpus, by: (flavor) => flavor.vcpus },
          { id: 'ram', header: 'Memory', cell: (flavor) => mib(flavor.ram), by: (flavor) => flavor.ram },
          { id: 'disk', header: 'Disk', cell: (flavor) => (flavor.disk ? `${flavor.disk} GiB` : 'As the image'), by: (flavor) => flavor.disk },
          { id: 'public', header: 'For', cell: (flavor) => (flavor['os-flavor-access:is_public'] ? 'Every project' : 'Some projects'), by: (flavor) => String(flavor['os-flavor-access:is_public']) },
          { id: 'id', header: 'Id', cell: (flavor) => <Copy text={flavor.id} /> },
        ]}
        actions={[{ id: 'delete', label: 'Delete', danger: 'Instances of this size go on; no new ones can be launched.', can: () => true, command: (flavor) => openstack('flavor delete', [], flavor.name), run: (flavor) => ask('compute', `/v2.1/flavors/${flavor.id}`, { method: 'DELETE', version: COMPUTE }) }]}
      />
      {open && (
        <FormDialog
          title="Create a flavor"
          button="Create"
          fields={FIELDS}
          close={() => setOpen(false)}
          done={(values) => `The flavor ${text(values, 'name')} is there`}
          command={(values) => openstack('flavor create', [['vcpus', text(values, 'vcpus')], ['ram', text(values, 'ram')], ['disk', text(values, 'disk')], ['private', !flag(values, 'public')]], text(values, 'name'))}
          submit={(values) => ask('compute', '/v2.1/flavors', { method: 'POST', version: COMPUTE, body: { flavor: { name: text(values, 'name'), vcpus: Number(text(values, 'vcpus')), ram: Number(text(values, 'ram')), disk: Number(text(values, 'disk')), 'os-flavor-access:is_public': flag(values, 'public') } } })}
        />
      )}
    </>
  );
}
