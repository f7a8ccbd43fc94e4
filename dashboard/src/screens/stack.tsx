// One stack: what it gives, what it is made of, what happened to it, and the template it is made from.
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
import { lazy, Suspense, useMemo, useState } from 'react';
import { useParams, useSearchParams } from 'react-router';
import { stringify } from 'yaml';
import { Fault } from '../cloud/api';
import { openstack } from '../cloud/cli';
import type { Stack, StackEvent, StackResource } from '../cloud/kinds';
import { useAsk, useHere, useThings } from '../cloud/session';
import { isBusy, stackGraph, updateRefused } from '../cloud/stacks';
import { Confirm, useRun, type Doable } from '../parts/list';
import { words } from '../parts/news';
import { Ago, Command, Copy, Status, To, useGo } from '../parts/small';
import { findStack, stackPath, useStackActions } from '../parts/stacks';

const Picture = lazy(() => import('../parts/graph').then((part) => ({ default: part.Picture })));
const Editor = lazy(() => import('../parts/editor').then((part) => ({ default: part.Editor })));
const Loading = () => <StatusIndicator type="loading">Loading</StatusIndicator>;

/** While something goes on, its parts are looked at so often; the stack itself is news of the event stream. */
const LIVELY_MS = 2_000;

export function StackPage() {
  const { id = '' } = useParams();
  const { project, live, mayWrite } = useHere();
  const ask = useAsk();
  const go = useGo();
  // The list is what the event stream watches; this one stack comes along with it.
  useThings('stacks');
  const query = useQuery({
    queryKey: [project.id, 'stacks', id],
    queryFn: () => findStack(ask, project.id, id),
    refetchInterval: (query) => (query.state.data && isBusy(query.state.data) ? LIVELY_MS : live ? 60_000 : 4_000),
  });
  const [params, setParams] = useSearchParams();
  const [asked, setAsked] = useState<Doable<Stack>>();
  const actions = useStackActions();
  const run = useRun<Stack>((stack) => stack.stack_name);
  const stack = query.data;
  const gone = query.error instanceof Fault && query.error.status === 404;
  if (query.error && (!stack || gone)) {
    return (
      <Alert type={gone ? 'info' : 'error'} header={gone ? 'This stack is not there any more' : 'The stack cannot be shown'} action={<Button onClick={() => go('/stacks')}>All stacks</Button>}>
        {gone ? 'It was deleted, or it is in another project.' : words(query.error)}
      </Alert>
    );
  }
  if (!stack) return <StatusIndicator type="loading">Loading the stack</StatusIndicator>;
  const inside = stack.parent ? 'It is part of another stack: change that one.' : undefined;
  const reader = mayWrite ? undefined : 'You may only look in this project: your role is reader.';
  const menu = actions.map((action) => {
    const can = reader ?? inside ?? action.can(stack);
    return { id: action.id, text: action.label, disabled: can !== true, disabledReason: can === true ? undefined : can };
  });
  const why = reader ?? inside ?? updateRefused(stack);
  const start = (action: Doable<Stack> | undefined) => (action?.danger ? setAsked(action) : action && void run(action, [stack]));
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          description={<Status status={stack.stack_status} />}
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <ButtonDropdown items={menu} onItemClick={({ detail }) => start(actions.find((action) => action.id === detail.id))}>Actions</ButtonDropdown>
              <Button variant="primary" disabled={!!why} disabledReason={why} onClick={() => go(`/stacks/${id}/update`)}>Update</Button>
            </SpaceBetween>
          }
        >
          {stack.stack_name}
        </Header>
      }
    >
      <SpaceBetween size="l">
        {stack.stack_status.endsWith('_FAILED') && <Alert type="error" header="Why it failed">{stack.stack_status_reason} It can be updated again or deleted.</Alert>}
        {stack.parent && <Alert type="info">It is part of <To to={`/stacks/${stack.parent}`}>another stack</To>.</Alert>}
        <Tabs
          activeTabId={params.get('tab') ?? 'summary'}
          onChange={({ detail }) => setParams({ tab: detail.activeTabId }, { replace: true })}
          ariaLabel="About the stack"
          tabs={[
            { id: 'summary', label: 'Summary', content: <Summary stack={stack} /> },
            { id: 'resources', label: 'Resources', content: <Resources stack={stack} /> },
            { id: 'events', label: 'Events', content: <Events stack={stack} /> },
            { id: 'template', label: 'Template', content: <Template stack={stack} /> },
          ]}
        />
      </SpaceBetween>
      {asked && <Confirm action={asked} things={[stack]} one="stack" name={(one) => one.stack_name} close={() => setAsked(undefined)} go={() => run(asked, [stack])} />}
    </ContentLayout>
  );
}

const shown = (value: unknown) => (value === null || value === undefined ? '–' : typeof value === 'string' ? value : JSON.stringify(value));

function Summary({ stack }: { stack: Stack }) {
  const parameters = Object.entries(stack.parameters ?? {}).filter(([name]) => !name.startsWith('OS::'));
  const outputs = stack.outputs ?? [];
  return (
    <SpaceBetween size="l">
      <Container>
        <KeyValuePairs
          columns={3}
          items={[
            { label: 'Id', value: <Copy text={stack.id} /> }, { label: 'Description', value: stack.description }, { label: 'Owner', value: stack.stack_owner ?? '–' },
            { label: 'Created', value: <Ago at={stack.creation_time} /> }, { label: 'Updated', value: <Ago at={stack.updated_time} /> }, { label: 'Tags', value: stack.tags?.join(', ') || '–' },
            { label: 'Why it is so', value: stack.stack_status_reason || '–' }, { label: 'When it fails', value: stack.disable_rollback ? 'It stays as it is' : 'It goes back' }, { label: 'Given up after', value: stack.timeout_mins ? `${stack.timeout_mins} min` : 'Never' },
          ]}
        />
      </Container>
      <Table
        items={outputs}
        header={<Header variant="h2" counter={`(${outputs.length})`}>Outputs</Header>}
        empty={<Box textAlign="center">The template has no outputs.</Box>}
        ariaLabels={{ tableLabel: 'Outputs' }}
        columnDefinitions={[
          { id: 'key', header: 'Output', cell: (one) => one.output_key, isRowHeader: true },
          { id: 'value', header: 'Value', cell: (one) => (one.output_error ? <StatusIndicator type="pending">{one.output_error}</StatusIndicator> : <Copy text={shown(one.output_value)} />) },
          { id: 'description', header: 'Description', cell: (one) => one.description || '–' },
        ]}
      />
      <Table
        items={parameters}
        header={<Header variant="h2" counter={`(${parameters.length})`}>Parameters</Header>}
        empty={<Box textAlign="center">The template asks for nothing.</Box>}
        ariaLabels={{ tableLabel: 'Parameters' }}
        columnDefinitions={[
          { id: 'name', header: 'Parameter', cell: ([name]) => name, isRowHeader: true },
          { id: 'value', header: 'Value', cell: ([, value]) => <span className="mono">{shown(value)}</span> },
        ]}
      />
      <Command text={openstack('stack show', [], stack.stack_name)} />
    </SpaceBetween>
  );
}

function usePart<T>(stack: Stack, part: string, key: string) {
  const { project, live } = useHere();
  const ask = useAsk();
  return useQuery({
    queryKey: [project.id, 'stacks', stack.id, part],
    queryFn: () => ask<Record<string, T>>('orchestration', `${stackPath(project.id, stack)}/${part}`).then((answer) => (key ? answer[key] : answer) as T),
    refetchInterval: isBusy(stack) ? LIVELY_MS : live ? 60_000 : 4_000,
  });
}

function Resources({ stack }: { stack: Stack }) {
  const query = usePart<StackResource[]>(stack, 'resources', 'resources');
  const resources = query.data;
  const graph = useMemo(() => stackGraph(resources ?? []), [resources]);
  const [name, setName] = useState<string>();
  const inner = (resource: StackResource) => resource.links.find((link) => link.rel === 'nested')?.href.split('/').pop();
  if (query.error) return <Alert type="error">{words(query.error)}</Alert>;
  return (
    <SpaceBetween size="l">
      {graph.spots.length > 0 && (
        <Container header={<Header variant="h2" description="What is needed stands left of what needs it. It follows what happens.">Graph</Header>}>
          <Suspense fallback={<Loading />}><Picture low graph={graph} label="Resources" choose={(spot) => setName(spot.id)} /></Suspense>
        </Container>
      )}
      <Table
        items={[...(resources ?? [])].sort((a, b) => a.resource_name.localeCompare(b.resource_name))}
        loading={query.isPending}
        header={<Header variant="h2" counter={`(${resources?.length ?? 0})`}>Resources</Header>}
        empty={<Box textAlign="center">There is nothing in it.</Box>}
        selectionType="single"
        trackBy="resource_name"
        selectedItems={(resources ?? []).filter((resource) => resource.resource_name === name)}
        onSelectionChange={({ detail }) => setName(detail.selectedItems[0]?.resource_name)}
        ariaLabels={{ tableLabel: 'Resources', selectionGroupLabel: 'Choose a resource', itemSelectionLabel: (_all, resource) => resource.resource_name }}
        columnDefinitions={[
          { id: 'name', header: 'Resource', cell: (one) => (inner(one) ? <To to={`/stacks/${inner(one)}`}>{one.resource_name}</To> : one.resource_name), isRowHeader: true },
          { id: 'type', header: 'Type', cell: (one) => one.resource_type },
          { id: 'status', header: 'Status', cell: (one) => <Status status={one.resource_status} /> },
          { id: 'why', header: 'Why', cell: (one) => one.resource_status_reason || '–' },
          { id: 'id', header: 'What it is', cell: (one) => (one.physical_resource_id ? <Copy text={one.physical_resource_id} /> : '–') },
        ]}
      />
      <Command text={openstack('stack resource list', [], stack.stack_name)} />
    </SpaceBetween>
  );
}

const EVENTS = 200;

function Events({ stack }: { stack: Stack }) {
  const query = usePart<StackEvent[]>(stack, `events?sort_dir=desc&limit=${EVENTS}`, 'events');
  return (
    <SpaceBetween size="l">
      <Table
        items={query.data ?? []}
        loading={query.isPending}
        header={<Header variant="h2" description={`The last ${EVENTS}, newest first`}>Events</Header>}
        empty={<Box textAlign="center">{query.error ? words(query.error) : 'Nothing has happened yet.'}</Box>}
        ariaLabels={{ tableLabel: 'Events' }}
        columnDefinitions={[
          { id: 'when', header: 'When', cell: (one) => <Ago at={one.event_time} /> },
          { id: 'resource', header: 'Resource', cell: (one) => one.resource_name, isRowHeader: true },
          { id: 'status', header: 'Status', cell: (one) => <Status status={one.resource_status} /> },
          { id: 'why', header: 'Why', cell: (one) => one.resource_status_reason || '–' },
        ]}
      />
      <Command text={openstack('stack event list', [], stack.stack_name)} />
    </SpaceBetween>
  );
}

function Template({ stack }: { stack: Stack }) {
  const query = usePart<Record<string, unknown>>(stack, 'template', '');
  if (query.error) return <Alert type="error">{words(query.error)}</Alert>;
  return (
    <Container header={<Header variant="h2">Template</Header>}>
      <SpaceBetween size="m">
        {query.data ? <Suspense fallback={<Loading />}><Editor label="Template" value={stringify(query.data, { lineWidth: 0 })} /></Suspense> : <Loading />}
        <Command text={openstack('stack template show', [], stack.stack_name)} />
      </SpaceBetween>
    </Container>
  );
}
