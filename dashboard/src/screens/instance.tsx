// One server: what it is, what it says, where it is connected, and what was done with it.
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import ButtonDropdown from '@cloudscape-design/components/button-dropdown';
import Container from '@cloudscape-design/components/container';
import ContentLayout from '@cloudscape-design/components/content-layout';
import Header from '@cloudscape-design/components/header';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import Table from '@cloudscape-design/components/table';
import Tabs from '@cloudscape-design/components/tabs';
import Toggle from '@cloudscape-design/components/toggle';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { useParams, useSearchParams } from 'react-router';
import { Fault } from '../cloud/api';
import { openstack } from '../cloud/cli';
import { COMPUTE, type Server } from '../cloud/kinds';
import { useAsk, useHere, useThings } from '../cloud/session';
import { mib, sentence, time } from '../cloud/words';
import { Confirm, useRun, type Doable } from '../parts/list';
import { words } from '../parts/news';
import { addresses, useServerActions } from '../parts/servers';
import { Ago, Command, Copy, Status, To, useGo } from '../parts/small';
import { useHasVolumes } from '../parts/volumes';
import { Console } from './console';
import { ServerVolumes } from './servervolumes';

export function Instance() {
  const { id = '' } = useParams();
  const { project, live, mayWrite } = useHere();
  const hasVolumes = useHasVolumes();
  const ask = useAsk();
  const go = useGo();
  // The list is what the event stream watches; this one server comes along with it.
  useThings('servers');
  const query = useQuery({
    queryKey: [project.id, 'servers', id],
    queryFn: () => ask<{ server: Server }>('compute', `/v2.1/servers/${id}`, { version: COMPUTE }).then((answer) => answer.server),
    refetchInterval: live ? 60_000 : 4_000,
  });
  const [params, setParams] = useSearchParams();
  const [asked, setAsked] = useState<Doable<Server>>();
  const { actions, dialog } = useServerActions();
  const run = useRun<Server>((server) => server.name);
  const server = query.data;
  if (query.error && !server) {
    const gone = query.error instanceof Fault && query.error.status === 404;
    return (
      <Alert type={gone ? 'info' : 'error'} header={gone ? 'This instance is not there any more' : 'The instance cannot be shown'} action={<Button onClick={() => go('/instances')}>All instances</Button>}>
        {gone ? 'It was deleted, or it is in another project.' : words(query.error)}
      </Alert>
    );
  }
  if (!server) return <StatusIndicator type="loading">Loading the instance</StatusIndicator>;
  const deleted = query.error instanceof Fault && query.error.status === 404;
  const menu = actions.map((action) => {
    const can = deleted ? 'It is gone.' : mayWrite ? action.can(server) : 'You may only look in this project: your role is reader.';
    return { id: action.id, text: action.label, disabled: can !== true, disabledReason: can === true ? undefined : can };
  });
  const start = (action: Doable<Server> | undefined) => (action?.danger ? setAsked(action) : action && void run(action, [server]));
  const find = (id: string) => actions.find((action) => action.id === id);
  const tab = params.get('tab') ?? 'summary';
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          description={deleted ? <StatusIndicator type="stopped">Deleted</StatusIndicator> : <Status status={server.status} task={server['OS-EXT-STS:task_state']} />}
          actions={<ButtonDropdown items={menu} onItemClick={({ detail }) => start(find(detail.id))}>Actions</ButtonDropdown>}
        >
          {server.name}
        </Header>
      }
    >
      <SpaceBetween size="l">
        {server.fault && server.status === 'ERROR' && <Alert type="error" header="Why it is in error">{server.fault.message}</Alert>}
        {server.status === 'VERIFY_RESIZE' && !deleted && (
          <Alert
            type="info"
            header="It has been resized or moved"
            action={mayWrite && <SpaceBetween direction="horizontal" size="xs"><Button onClick={() => start(find('revert-resize'))}>Go back</Button><Button onClick={() => start(find('confirm-resize'))}>Confirm</Button></SpaceBetween>}
          >
            Confirm it when all is well, or go back to what it was. Until then both count in the quota.
          </Alert>
        )}
        <Tabs
          activeTabId={tab}
          onChange={({ detail }) => setParams({ tab: detail.activeTabId }, { replace: true })}
          ariaLabel="About the instance"
          tabs={[
            { id: 'summary', label: 'Summary', content: <Summary server={server} /> },
            { id: 'console', label: 'Console', content: <Console server={server} /> },
            { id: 'log', label: 'Console log', content: <Log server={server} /> },
            { id: 'interfaces', label: 'Interfaces', content: <Interfaces server={server} /> },
            ...(hasVolumes ? [{ id: 'volumes', label: 'Volumes', content: <ServerVolumes server={server} attach={() => start(find('attach-volume'))} /> }] : []),
            { id: 'timeline', label: 'Timeline', content: <Timeline server={server} /> },
          ]}
        />
      </SpaceBetween>
      {asked && <Confirm action={asked} things={[server]} one="instance" name={(one) => one.name} close={() => setAsked(undefined)} go={() => run(asked, [server])} />}
      {dialog}
    </ContentLayout>
  );
}

function Summary({ server }: { server: Server }) {
  const image = useThings('images').things.find((image) => server.image && image.id === server.image.id);
  const { isAdmin } = useHere();
  const floating = addresses(server, 'floating');
  const items = [
    { label: 'Id', value: <Copy text={server.id} /> },
    { label: 'Image', value: image?.name ?? (server.image ? server.image.id : 'None: it starts from a volume') },
    { label: 'Flavor', value: `${server.flavor.original_name}: ${server.flavor.vcpus} vCPU, ${mib(server.flavor.ram)}, ${server.flavor.disk} GiB disk` },
    { label: 'Key pair', value: server.key_name ?? '–' },
    { label: 'Availability zone', value: server['OS-EXT-AZ:availability_zone'] || '–' },
    ...(isAdmin ? [{ label: 'Host', value: server['OS-EXT-SRV-ATTR:host'] ?? '–' }] : []),
    { label: 'Created', value: <Ago at={server.created} /> },
    { label: 'Changed', value: <Ago at={server.updated} /> },
    { label: 'Locked', value: server.locked ? 'Yes' : 'No' },
    { label: 'Security groups', value: [...new Set(server.security_groups?.map((group) => group.name) ?? [])].join(', ') || '–' },
    { label: 'Metadata', value: Object.entries(server.metadata).map(([key, value]) => `${key}=${value}`).join(', ') || '–' },
  ];
  return (
    <Container>
      <SpaceBetween size="l">
        <KeyValuePairs columns={3} items={items} />
        <Command text={openstack('server show', [], server.id)} />
        {floating[0] && <Box variant="p">Log in: <span className="mono">ssh USER@{floating[0]}</span></Box>}
      </SpaceBetween>
    </Container>
  );
}

const LINES = 500;

function Log({ server }: { server: Server }) {
  const ask = useAsk();
  const { project } = useHere();
  const [follow, setFollow] = useState(true);
  const end = useRef<HTMLPreElement>(null);
  const log = useQuery({
    queryKey: [project.id, 'console', server.id],
    queryFn: () => ask<{ output: string }>('compute', `/v2.1/servers/${server.id}/action`, { method: 'POST', body: { 'os-getConsoleOutput': { length: LINES } }, version: COMPUTE }).then((answer) => answer.output),
    refetchInterval: follow ? 3_000 : false,
    retry: false,
  });
  useEffect(() => {
    if (follow && end.current) end.current.scrollTop = end.current.scrollHeight;
  }, [log.data, follow]);
  return (
    <Container header={<Header variant="h2" description={`The last ${LINES} lines of the serial console`} actions={<Toggle checked={follow} onChange={({ detail }) => setFollow(detail.checked)}>Follow</Toggle>}>Console log</Header>}>
      <SpaceBetween size="m">
        {log.error ? <Alert type="info">{words(log.error)}</Alert> : <pre className="log" ref={end} tabIndex={0} role="log" aria-label="Console log">{log.data || (log.isPending ? 'Loading…' : 'Nothing was written yet.')}</pre>}
        <Command text={openstack('console log show', [['lines', LINES]], server.name)} />
      </SpaceBetween>
    </Container>
  );
}

function Interfaces({ server }: { server: Server }) {
  const ports = useThings('ports');
  const networks = useThings('networks').things;
  const floating = useThings('floatingips').things;
  const own = ports.things.filter((port) => port.device_id === server.id);
  return (
    <Table
      items={own}
      loading={ports.loading}
      header={<Header variant="h2" counter={`(${own.length})`}>Interfaces</Header>}
      empty={<Box textAlign="center">It is connected to no network.</Box>}
      ariaLabels={{ tableLabel: 'Interfaces' }}
      columnDefinitions={[
        { id: 'network', header: 'Network', cell: (port) => <To to={`/networks/${port.network_id}`}>{networks.find((network) => network.id === port.network_id)?.name ?? port.network_id}</To>, isRowHeader: true },
        { id: 'address', header: 'Address', cell: (port) => port.fixed_ips.map((ip) => <Copy key={ip.ip_address} text={ip.ip_address} />) },
        { id: 'floating', header: 'Floating IP', cell: (port) => floating.find((ip) => ip.port_id === port.id)?.floating_ip_address ?? '–' },
        { id: 'mac', header: 'MAC address', cell: (port) => <span className="mono">{port.mac_address}</span> },
        { id: 'status', header: 'Status', cell: (port) => <Status status={port.status} /> },
      ]}
    />
  );
}

interface ActionRow { action: string; request_id: string; start_time: string; updated_at?: string; message: string | null; user_id: string }
interface ActionDetail extends ActionRow { events?: { event: string; start_time: string; finish_time: string | null; result: string | null; details?: string | null }[] }

function Timeline({ server }: { server: Server }) {
  const ask = useAsk();
  const { project } = useHere();
  const [open, setOpen] = useState<string>();
  const rows = useQuery({
    queryKey: [project.id, 'servers', server.id, 'actions'],
    queryFn: () => ask<{ instanceActions: ActionRow[] }>('compute', `/v2.1/servers/${server.id}/os-instance-actions`, { version: COMPUTE }).then((answer) => answer.instanceActions),
  });
  const detail = useQuery({
    queryKey: [project.id, 'servers', server.id, 'actions', open],
    queryFn: () => ask<{ instanceAction: ActionDetail }>('compute', `/v2.1/servers/${server.id}/os-instance-actions/${open}`, { version: COMPUTE }).then((answer) => answer.instanceAction),
    enabled: !!open,
  });
  const took = (from: string, to: string | null) => (to ? `${((time(to) - time(from)) / 1000).toFixed(1)} s` : 'still going on');
  return (
    <SpaceBetween size="l">
      <Table
        items={rows.data ?? []}
        loading={rows.isPending}
        header={<Header variant="h2" description="What was asked of this instance, newest first. Choose one to see its steps.">Timeline</Header>}
        empty={<Box textAlign="center">Nothing was done with it yet.</Box>}
        selectionType="single"
        selectedItems={(rows.data ?? []).filter((row) => row.request_id === open)}
        onSelectionChange={({ detail }) => setOpen(detail.selectedItems[0]?.request_id)}
        onRowClick={({ detail }) => setOpen(detail.item.request_id)}
        trackBy="request_id"
        ariaLabels={{ tableLabel: 'Timeline', selectionGroupLabel: 'Choose an action', itemSelectionLabel: (_all, row) => `Show the steps of ${row.action}` }}
        columnDefinitions={[
          { id: 'action', header: 'Action', cell: (row) => sentence(row.action), isRowHeader: true },
          { id: 'when', header: 'When', cell: (row) => <Ago at={row.start_time} /> },
          { id: 'result', header: 'Result', cell: (row) => (row.message ? <StatusIndicator type="error">{row.message}</StatusIndicator> : <StatusIndicator type="success">No error</StatusIndicator>) },
          { id: 'request', header: 'Request', cell: (row) => <Copy text={row.request_id} /> },
        ]}
      />
      {open && detail.data && (
        <Table
          items={detail.data.events ?? []}
          header={<Header variant="h2" description={detail.data.request_id}>{`Steps of ${sentence(detail.data.action).toLowerCase()}`}</Header>}
          empty={<Box textAlign="center">It has no steps.</Box>}
          ariaLabels={{ tableLabel: 'Steps' }}
          columnDefinitions={[
            { id: 'event', header: 'Step', cell: (event) => sentence(event.event.replace(/^compute_+/, '')), isRowHeader: true },
            { id: 'when', header: 'Began', cell: (event) => <Ago at={event.start_time} /> },
            { id: 'took', header: 'Took', cell: (event) => took(event.start_time, event.finish_time) },
            { id: 'result', header: 'Result', cell: (event) => (event.result ? <Status status={event.result === 'Success' ? 'active' : event.result} /> : <StatusIndicator type="in-progress">Going on</StatusIndicator>) },
          ]}
        />
      )}
      <Command text={openstack('server event list', [], server.id)} />
    </SpaceBetween>
  );
}
