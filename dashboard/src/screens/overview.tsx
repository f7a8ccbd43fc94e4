// The project at a glance: problems first, what is used of the quotas, what is there.
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import ColumnLayout from '@cloudscape-design/components/column-layout';
import Container from '@cloudscape-design/components/container';
import ContentLayout from '@cloudscape-design/components/content-layout';
import Header from '@cloudscape-design/components/header';
import ProgressBar from '@cloudscape-design/components/progress-bar';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Table from '@cloudscape-design/components/table';
import { useHere, useQuotas, useThings, type Amount, type Quotas } from '../cloud/session';
import { called, inError } from '../cloud/volumes';
import { mib } from '../cloud/words';
import { words } from '../parts/news';
import { Ago, Status, To, useGo } from '../parts/small';
import { useHasVolumes } from '../parts/volumes';

const BARS: { name: keyof Quotas; label: string; show?: (value: number) => string }[] = [
  { name: 'instances', label: 'Instances' }, { name: 'cores', label: 'vCPUs' }, { name: 'ram', label: 'Memory', show: mib }, { name: 'floatingip', label: 'Floating IPs' },
  { name: 'network', label: 'Networks' }, { name: 'router', label: 'Routers' }, { name: 'security_group', label: 'Security groups' }, { name: 'port', label: 'Ports' },
];
const gib = (value: number) => `${value} GiB`;
/** Of block storage, where there is one. */
const VOLUME_BARS: typeof BARS = [
  { name: 'volumes', label: 'Volumes' }, { name: 'gigabytes', label: 'Volume storage', show: gib }, { name: 'snapshots', label: 'Snapshots' }, { name: 'backups', label: 'Backups' },
];

export function Overview() {
  const { project, mayWrite } = useHere();
  const quotas = useQuotas();
  const servers = useThings('servers');
  const networks = useThings('networks').things;
  const routers = useThings('routers').things;
  const hasVolumes = useHasVolumes();
  const volumes = useThings('volumes', hasVolumes).things;
  const go = useGo();
  const badVolumes = volumes.filter(inError);
  const bad = servers.things.filter((server) => server.status === 'ERROR');
  const recent = [...servers.things].sort((a, b) => b.updated.localeCompare(a.updated)).slice(0, 6);
  const running = servers.things.filter((server) => server.status === 'ACTIVE').length;
  const facts = [
    { label: 'Running instances', value: running, to: '/instances?filter=active' },
    { label: 'Other instances', value: servers.things.length - running, to: '/instances' },
    { label: 'Own networks', value: networks.filter((network) => network.project_id === project.id).length, to: '/networks' },
    hasVolumes ? { label: 'Volumes', value: volumes.length, to: '/volumes' } : { label: 'Routers', value: routers.length, to: '/routers' },
  ];
  return (
    <ContentLayout header={<Header variant="h1" actions={<Button variant="primary" disabled={!mayWrite} disabledReason="You may only look in this project: your role is reader." onClick={() => go('/instances/launch')}>Launch instance</Button>}>Overview</Header>}>
      <SpaceBetween size="l">
        {bad.length > 0 && (
          <Alert type="error" header={bad.length === 1 ? 'One instance is in error' : `${bad.length} instances are in error`}>
            <SpaceBetween size="xxs">{bad.slice(0, 5).map((server) => <div key={server.id}><To to={`/instances/${server.id}`}>{server.name}</To>{server.fault ? `: ${server.fault.message}` : ''}</div>)}</SpaceBetween>
          </Alert>
        )}
        {badVolumes.length > 0 && (
          <Alert type="error" header={badVolumes.length === 1 ? 'One volume is in error' : `${badVolumes.length} volumes are in error`}>
            <SpaceBetween size="xxs">{badVolumes.slice(0, 5).map((volume) => <div key={volume.id}><To to={`/volumes/${volume.id}`}>{called(volume)}</To></div>)}</SpaceBetween>
          </Alert>
        )}
        <Container>
          <ColumnLayout columns={4} variant="text-grid" minColumnWidth={150}>
            {facts.map((fact) => (
              <div key={fact.label}>
                <Box variant="awsui-key-label">{fact.label}</Box>
                <To to={fact.to} large>{fact.value}</To>
              </div>
            ))}
          </ColumnLayout>
        </Container>
        <Container header={<Header variant="h2" description="What this project uses of what it may have">Quotas</Header>}>
          {quotas.error ? (
            <Alert type="error">{words(quotas.error)}</Alert>
          ) : (
            <ColumnLayout columns={4} minColumnWidth={170}>
              {[...BARS, ...(hasVolumes ? VOLUME_BARS : [])].map((bar) => <Bar key={bar.name} label={bar.label} amount={quotas.data?.[bar.name]} show={bar.show ?? String} />)}
            </ColumnLayout>
          )}
        </Container>
        <Table
          items={recent}
          loading={servers.loading}
          loadingText="Loading instances"
          header={<Header variant="h2">Changed last</Header>}
          empty={<Box textAlign="center" padding="m"><SpaceBetween size="s"><div>There is no instance yet.</div>{mayWrite && <Button onClick={() => go('/instances/launch')}>Launch the first one</Button>}</SpaceBetween></Box>}
          ariaLabels={{ tableLabel: 'Instances changed last' }}
          columnDefinitions={[
            { id: 'name', header: 'Instance', cell: (server) => <To to={`/instances/${server.id}`}>{server.name}</To>, isRowHeader: true },
            { id: 'status', header: 'Status', cell: (server) => <Status status={server.status} task={server['OS-EXT-STS:task_state']} /> },
            { id: 'flavor', header: 'Flavor', cell: (server) => server.flavor.original_name },
            { id: 'updated', header: 'Changed', cell: (server) => <Ago at={server.updated} /> },
          ]}
        />
      </SpaceBetween>
    </ContentLayout>
  );
}

function Bar({ label, amount, show }: { label: string; amount?: Amount; show: (value: number) => string }) {
  if (!amount) return <ProgressBar label={label} value={0} additionalInfo="Loading" ariaLabel={label} />;
  if (amount.limit < 0) return <div><Box variant="awsui-key-label">{label}</Box>{show(amount.used)} used, no limit</div>;
  const share = amount.limit === 0 ? 100 : Math.min(100, Math.round((amount.used / amount.limit) * 100));
  return <ProgressBar label={label} value={share} additionalInfo={`${show(amount.used)} of ${show(amount.limit)}`} ariaLabel={`${label}: ${show(amount.used)} of ${show(amount.limit)}`} />;
}
