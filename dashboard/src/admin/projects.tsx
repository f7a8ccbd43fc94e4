// Projects and what each may use.
import { useState } from 'react';
import { openstack } from '../cloud/cli';
import type { Project } from '../cloud/kinds';
import { useAsk, useHere, useThings } from '../cloud/session';
import { FormDialog, text, type Field } from '../parts/form';
import { List, type Doable } from '../parts/list';
import { Copy, Status } from '../parts/small';
import { useBlock, useHasVolumes } from '../parts/volumes';
import { AdminOnly } from './only';

export const Projects = () => <AdminOnly><ProjectList /></AdminOnly>;

const FIELDS: Field[] = [{ name: 'name', label: 'Name' }, { name: 'description', label: 'Description', optional: true }];
const COMPUTE_QUOTAS = [['instances', 'Instances'], ['cores', 'vCPUs'], ['ram', 'Memory, in MiB'], ['key_pairs', 'Key pairs']] as const;
const NETWORK_QUOTAS = [['network', 'Networks'], ['subnet', 'Subnets'], ['port', 'Ports'], ['router', 'Routers'], ['floatingip', 'Floating IPs'], ['security_group', 'Security groups']] as const;
const VOLUME_QUOTAS = [['volumes', 'Volumes'], ['gigabytes', 'Volume storage, in GiB'], ['snapshots', 'Snapshots'], ['backups', 'Backups'], ['backup_gigabytes', 'Backup storage, in GiB']] as const;
/** What the command calls a quota where it differs. */
const WORDS: Record<string, string> = { key_pairs: 'key-pairs', network: 'networks', subnet: 'subnets', port: 'ports', router: 'routers', floatingip: 'floating-ips', security_group: 'secgroups', backup_gigabytes: 'backup-gigabytes' };

function ProjectList() {
  const { things, loading, error } = useThings('projects');
  const here = useHere();
  const ask = useAsk();
  const block = useBlock();
  const [open, setOpen] = useState(false);
  const [limited, setLimited] = useState<{ project: Project; limits: Record<string, number> }>();
  const enable = (project: Project, enabled: boolean) => ask('identity', `/v3/projects/${project.id}`, { method: 'PATCH', body: { project: { enabled } } });
  const notHere = (project: Project) => (project.id === here.project.id ? 'You are working in it.' : project.name === 'service' ? 'The services of the cloud live in it.' : true);
  const hasVolumes = useHasVolumes();
  const allQuotas = [...COMPUTE_QUOTAS, ...NETWORK_QUOTAS, ...(hasVolumes ? VOLUME_QUOTAS : [])];
  const blockQuotas = (project: Project) => `/os-quota-sets/${project.id}`;
  const showQuotas = async (project: Project) => {
    const [compute, network, volumes] = await Promise.all([
      ask<{ quota_set: Record<string, number> }>('compute', `/v2.1/os-quota-sets/${project.id}`),
      ask<{ quota: Record<string, number> }>('network', `/v2.0/quotas/${project.id}`),
      hasVolumes ? block<{ quota_set: Record<string, number> }>(blockQuotas(project)) : undefined,
    ]);
    setLimited({ project, limits: { ...compute.quota_set, ...network.quota, ...volumes?.quota_set } });
  };
  const actions: Doable<Project>[] = [
    { id: 'quotas', label: 'Change quotas', opens: true, can: () => true, command: (project) => openstack('quota set', [], project.name), run: showQuotas },
    { id: 'disable', label: 'Disable', danger: 'Nobody can work in it until it is enabled again. What runs goes on.', can: (project) => (project.enabled ? notHere(project) : 'It is disabled already.'), command: (project) => openstack('project set', [['disable', true]], project.name), run: (project) => enable(project, false) },
    { id: 'enable', label: 'Enable', can: (project) => !project.enabled || 'It is enabled already.', command: (project) => openstack('project set', [['enable', true]], project.name), run: (project) => enable(project, true) },
    { id: 'delete', label: 'Delete', danger: 'What is in it stays behind without an owner: delete its instances and networks first.', can: notHere, command: (project) => openstack('project delete', [], project.id), run: (project) => ask('identity', `/v3/projects/${project.id}`, { method: 'DELETE' }) },
  ];
  const quotaFields: Field[] = allQuotas.map(([name, label]) => ({
    name, label, kind: 'number', initial: String(limited?.limits[name] ?? ''), hint: name === 'instances' ? '-1: no limit.' : undefined,
    wrong: (value) => (/^(-1|\d{1,9})$/.test(value) ? undefined : 'A whole number, or -1 for no limit.'),
  }));
  return (
    <>
      <List
        title="Projects"
        one="project"
        things={things}
        loading={loading}
        error={error}
        id={(project) => project.id}
        name={(project) => project.name}
        create={{ label: 'Create project', go: () => setOpen(true) }}
        actions={actions}
        columns={[
          { id: 'name', header: 'Name', cell: (project) => project.name, by: (project) => project.name },
          { id: 'enabled', header: 'Status', cell: (project) => <Status status={project.enabled ? 'enabled' : 'disabled'} />, by: (project) => String(project.enabled) },
          { id: 'description', header: 'Description', cell: (project) => project.description || '–', by: (project) => project.description },
          { id: 'domain', header: 'Domain', cell: (project) => project.domain_id, by: (project) => project.domain_id },
          { id: 'id', header: 'Id', cell: (project) => <Copy text={project.id} /> },
        ]}
      />
      {open && (
        <FormDialog
          title="Create a project"
          button="Create"
          fields={FIELDS}
          close={() => setOpen(false)}
          done={(values) => `The project ${text(values, 'name')} is there`}
          command={(values) => openstack('project create', [['description', text(values, 'description')]], text(values, 'name'))}
          submit={(values) => ask('identity', '/v3/projects', { method: 'POST', body: { project: { name: text(values, 'name'), description: text(values, 'description'), domain_id: 'default' } } })}
        />
      )}
      {limited && (
        <FormDialog
          title={`Quotas of ${limited.project.name}`}
          button="Save"
          fields={quotaFields}
          close={() => setLimited(undefined)}
          done={`The quotas of ${limited.project.name} are set`}
          command={(values) => openstack('quota set', allQuotas.filter(([name]) => text(values, name) !== String(limited.limits[name])).map(([name]): [string, string] => [WORDS[name] ?? name, text(values, name)]), limited.project.name)}
          submit={async (values) => {
            const some = (names: readonly (readonly [string, string])[]) => Object.fromEntries(names.filter(([name]) => text(values, name) !== String(limited.limits[name])).map(([name]) => [name, Number(text(values, name))]));
            const [compute, network, volumes] = [some(COMPUTE_QUOTAS), some(NETWORK_QUOTAS), hasVolumes ? some(VOLUME_QUOTAS) : {}];
            if (Object.keys(compute).length > 0) await ask('compute', `/v2.1/os-quota-sets/${limited.project.id}`, { method: 'PUT', body: { quota_set: compute } });
            if (Object.keys(network).length > 0) await ask('network', `/v2.0/quotas/${limited.project.id}`, { method: 'PUT', body: { quota: network } });
            if (Object.keys(volumes).length > 0) await block(blockQuotas(limited.project), { method: 'PUT', body: { quota_set: volumes } });
          }}
        />
      )}
    </>
  );
}
