// One volume: what it is, who uses it, its snapshots and backups, and what did not work.
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
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useParams, useSearchParams } from 'react-router';
import { openstack } from '../cloud/cli';
import type { Volume } from '../cloud/kinds';
import { useHere, useThings } from '../cloud/session';
import { called, inError, isRoot, metadataText } from '../cloud/volumes';
import { BackupList, SnapshotList } from '../parts/copies';
import { Confirm, List, useRun, type Doable } from '../parts/list';
import { words } from '../parts/news';
import { Ago, Command, Copy, Status, To, useGo } from '../parts/small';
import { useAttaching, useBlock, useServerName, useVolumeActions } from '../parts/volumes';

interface Message { id: string; user_message: string; created_at: string; request_id: string }

/** What went wrong with it after the answer, newest first. */
function useMessages(id: string) {
  const { project } = useHere();
  const block = useBlock();
  return useQuery({
    queryKey: [project.id, 'volumes', id, 'messages'],
    queryFn: () => block<{ messages: Message[] }>(`/messages?resource_uuid=${id}`).then((answer) => answer.messages.sort((a, b) => b.created_at.localeCompare(a.created_at))),
  });
}

export function VolumePage() {
  const { id = '' } = useParams();
  const { mayWrite } = useHere();
  const volumes = useThings('volumes');
  const go = useGo();
  const messages = useMessages(id).data ?? [];
  const { actions, dialog } = useVolumeActions();
  const run = useRun<Volume>(called);
  const [params, setParams] = useSearchParams();
  const [asked, setAsked] = useState<Doable<Volume>>();
  const volume = volumes.things.find((volume) => volume.id === id);
  if (volumes.loading) return <StatusIndicator type="loading">Loading the volume</StatusIndicator>;
  if (!volume) {
    return (
      <Alert type={volumes.error ? 'error' : 'info'} header={volumes.error ? 'The volume cannot be shown' : 'This volume is not there any more'} action={<Button onClick={() => go('/volumes')}>All volumes</Button>}>
        {volumes.error ? words(volumes.error) : 'It was deleted, or it is in another project.'}
      </Alert>
    );
  }
  const reader = mayWrite ? undefined : 'You may only look in this project: your role is reader.';
  const menu = actions.map((action) => {
    const can = reader ?? action.can(volume);
    return { id: action.id, text: action.label, disabled: can !== true, disabledReason: can === true ? undefined : can };
  });
  const start = (id: string) => {
    const action = actions.find((action) => action.id === id);
    if (action?.danger) setAsked(action);
    else if (action) void run(action, [volume]);
  };
  const create = (id: string, label: string) => {
    const can = actions.find((action) => action.id === id)?.can(volume);
    return { label, go: () => start(id), why: can === true ? undefined : can };
  };
  return (
    <ContentLayout
      header={
        <Header variant="h1" description={<Status status={volume.status} />} actions={<ButtonDropdown items={menu} onItemClick={({ detail }) => start(detail.id)}>Actions</ButtonDropdown>}>
          {called(volume)}
        </Header>
      }
    >
      <SpaceBetween size="l">
        {inError(volume) && messages[0] && <Alert type="error" header="Why it is in error">{messages[0].user_message}</Alert>}
        <Tabs
          activeTabId={params.get('tab') ?? 'summary'}
          onChange={({ detail }) => setParams({ tab: detail.activeTabId }, { replace: true })}
          ariaLabel="About the volume"
          tabs={[
            { id: 'summary', label: 'Summary', content: <Summary volume={volume} attach={create('attach', 'Attach')} /> },
            { id: 'snapshots', label: 'Snapshots', content: <SnapshotList volume={id} create={create('snapshot', 'Create snapshot')} /> },
            { id: 'backups', label: 'Backups', content: <BackupList volume={id} create={create('backup', 'Back up')} /> },
            { id: 'messages', label: 'Messages', content: <Messages messages={messages} /> },
          ]}
        />
      </SpaceBetween>
      {asked && <Confirm action={asked} things={[volume]} one="volume" name={called} close={() => setAsked(undefined)} go={() => run(asked, [volume])} />}
      {dialog}
    </ContentLayout>
  );
}

type Attachment = Volume['attachments'][number];

function Summary({ volume, attach }: { volume: Volume; attach: { label: string; go: () => void; why?: string } }) {
  const { isAdmin } = useHere();
  const volumes = useThings('volumes').things;
  const snapshots = useThings('snapshots').things;
  const server = useServerName();
  const { detach } = useAttaching();
  const origin = () => {
    const { snapshot_id, source_volid, volume_image_metadata } = volume;
    if (snapshot_id) return `Snapshot ${called(snapshots.find((one) => one.id === snapshot_id) ?? { id: snapshot_id, name: null })}`;
    const other = source_volid && volumes.find((one) => one.id === source_volid);
    if (other) return <To to={`/volumes/${other.id}`}>{called(other)}</To>;
    if (source_volid) return `Volume ${source_volid.slice(0, 8)}`;
    return volume_image_metadata?.image_name ? `Image ${volume_image_metadata.image_name}` : '–';
  };
  const items = [
    { label: 'Id', value: <Copy text={volume.id} /> },
    { label: 'Size', value: `${volume.size} GiB` },
    { label: 'Type', value: volume.volume_type ?? '–' },
    { label: 'Bootable', value: volume.bootable === 'true' ? 'Yes' : 'No' },
    { label: 'Made from', value: origin() },
    { label: 'Availability zone', value: volume.availability_zone || '–' },
    ...(isAdmin ? [{ label: 'Back end', value: volume['os-vol-host-attr:host'] ?? '–' }] : []),
    { label: 'Created', value: <Ago at={volume.created_at} /> },
    { label: 'Changed', value: <Ago at={volume.updated_at} /> },
    { label: 'Description', value: volume.description || '–' },
    { label: 'Metadata', value: metadataText(volume.metadata).replaceAll('\n', ', ') || '–' },
  ];
  return (
    <SpaceBetween size="l">
      <Container>
        <SpaceBetween size="l">
          <KeyValuePairs columns={3} items={items} />
          <Command text={openstack('volume show', [], volume.id)} />
        </SpaceBetween>
      </Container>
      <List
        variant="container"
        title="Attached to"
        one="instance"
        things={volume.attachments}
        loading={false}
        id={(one: Attachment) => one.server_id}
        name={(one) => server(one.server_id)}
        create={attach}
        empty="No instance uses it."
        actions={[
          {
            id: 'detach', label: 'Detach', danger: 'Unmount it in the guest first: what is not yet written to it is lost.',
            can: () => isRoot(volume) ? 'It is the root disk.' : volume.status === 'in-use' || 'Something is going on with the volume.',
            command: (one) => openstack('server remove volume', [], server(one.server_id), called(volume)),
            run: (one) => detach(one.server_id, volume.id),
          },
        ]}
        columns={[
          { id: 'server', header: 'Instance', cell: (one) => <To to={`/instances/${one.server_id}?tab=volumes`}>{server(one.server_id)}</To>, by: (one) => server(one.server_id) },
          { id: 'device', header: 'As', cell: (one) => <span className="mono">{one.device}</span>, by: (one) => one.device },
          { id: 'since', header: 'Since', cell: (one) => <Ago at={one.attached_at} />, by: (one) => one.attached_at ?? '' },
        ]}
      />
    </SpaceBetween>
  );
}

function Messages({ messages }: { messages: Message[] }) {
  return (
    <SpaceBetween size="l">
      <Table
        items={messages}
        header={<Header variant="h2" description="What went on after the answer and did not work">Messages</Header>}
        empty={<Box textAlign="center">Everything that was asked of it has worked.</Box>}
        ariaLabels={{ tableLabel: 'Messages' }}
        columnDefinitions={[
          { id: 'what', header: 'What', cell: (one) => one.user_message, isRowHeader: true },
          { id: 'when', header: 'When', cell: (one) => <Ago at={one.created_at} /> },
          { id: 'request', header: 'Request', cell: (one) => <Copy text={one.request_id} /> },
        ]}
      />
      <Command text={openstack('--os-volume-api-version 3.3 volume message list')} />
    </SpaceBetween>
  );
}
