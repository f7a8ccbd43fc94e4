// A list of things: filter, sort, pages, selection, and what can be done with what is selected.
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import ButtonDropdown from '@cloudscape-design/components/button-dropdown';
import Header from '@cloudscape-design/components/header';
import Modal from '@cloudscape-design/components/modal';
import Pagination from '@cloudscape-design/components/pagination';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Table, { type TableProps } from '@cloudscape-design/components/table';
import TextFilter from '@cloudscape-design/components/text-filter';
import { useCollection } from '@cloudscape-design/collection-hooks';
import { useState, type ReactNode } from 'react';
import { useSearchParams } from 'react-router';
import { canAll, type Action } from '../cloud/actions';
import { useHere } from '../cloud/session';
import { Command } from './small';
import { useNews, words } from './news';

export interface Column<T> {
  id: string;
  header: string;
  cell: (thing: T) => ReactNode;
  /** What it is sorted and found by. */
  by?: (thing: T) => string | number;
  width?: number;
}
export interface Doable<T> extends Action<T> {
  run: (thing: T) => Promise<unknown>;
  /** Looking only: everybody may. */
  harmless?: boolean;
}
interface Props<T> {
  title: string;
  /** One of them, in words: "network". */
  one: string;
  things: readonly T[];
  loading: boolean;
  error?: unknown;
  columns: Column<T>[];
  id: (thing: T) => string;
  name: (thing: T) => string;
  actions?: Doable<T>[];
  create?: { label: string; go: () => void; why?: string };
  extra?: ReactNode;
  empty?: string;
  description?: ReactNode;
  variant?: TableProps.Variant;
}
const PAGE = 25;

export function List<T>({ title, one, things, loading, error, columns, id, name, actions = [], create, extra, empty, description, variant = 'full-page' }: Props<T>) {
  const { live, mayWrite } = useHere();
  const [params, setParams] = useSearchParams();
  const [asked, setAsked] = useState<Doable<T>>();
  const run = useRun<T>(name);
  const searched = (thing: T) => [name(thing), id(thing), ...columns.map((column) => String(column.by?.(thing) ?? ''))].join(' ').toLowerCase();
  const filterKey = variant === 'full-page' ? 'filter' : '';
  const { items, collectionProps, filterProps, paginationProps, filteredItemsCount, actions: set } = useCollection(things, {
    filtering: {
      filteringFunction: (thing, filter) => searched(thing).includes(filter.toLowerCase()),
      defaultFilteringText: (filterKey && params.get(filterKey)) || '',
      empty: <Nothing one={one} create={create} mayWrite={mayWrite} words={empty} />,
      noMatch: <Box textAlign="center" padding="m">Nothing matches the filter.</Box>,
    },
    pagination: { pageSize: PAGE },
    sorting: { defaultState: { sortingColumn: { sortingComparator: (a: T, b: T) => name(a).localeCompare(name(b)) } } },
    selection: { keepSelection: true, trackBy: (thing) => id(thing) },
  });
  // Of what was selected, as it is now: what it was then says nothing about what can be done with it.
  const chosen = new Set(((collectionProps.selectedItems ?? []) as readonly T[]).map(id));
  const selected: readonly T[] = things.filter((thing) => chosen.has(id(thing)));
  const start = (action: Doable<T>) => {
    if (action.danger) return setAsked(action);
    void run(action, selected).then(() => set.setSelectedItems([]));
  };
  const menu = actions.map((action) => {
    const can = mayWrite || action.harmless ? canAll(action, selected, name) : 'You may only look in this project: your role is reader.';
    return { id: action.id, text: action.label, disabled: can !== true, disabledReason: can === true ? undefined : can };
  });
  const counter = selected.length > 0 ? `(${selected.length}/${things.length})` : `(${things.length})`;
  const header = (
    <Header
      variant={variant === 'full-page' ? 'h1' : 'h2'}
      counter={counter}
      description={description ?? (live ? 'Updates itself' : 'Looked at every few seconds')}
      actions={
        <SpaceBetween direction="horizontal" size="xs">
          {extra}
          {actions.length > 0 && (
            <ButtonDropdown items={menu} onItemClick={({ detail }) => { const found = actions.find((action) => action.id === detail.id); if (found) start(found); }}>
              Actions
            </ButtonDropdown>
          )}
          {create && (
            <Button variant="primary" onClick={create.go} disabled={!mayWrite || !!create.why} disabledReason={mayWrite ? create.why : 'You may only look in this project: your role is reader.'}>
              {create.label}
            </Button>
          )}
        </SpaceBetween>
      }
    >
      {title}
    </Header>
  );
  return (
    <>
      <Table
        {...collectionProps}
        selectedItems={selected}
        items={items}
        variant={variant}
        stickyHeader={variant === 'full-page'}
        selectionType={actions.length > 0 ? 'multi' : undefined}
        loading={loading}
        loadingText={`Loading ${title.toLowerCase()}`}
        empty={error ? <Box textAlign="center" color="text-status-error" padding="m">{words(error)}</Box> : collectionProps.empty}
        columnDefinitions={columns.map((column) => ({
          id: column.id,
          header: column.header,
          cell: column.cell,
          minWidth: column.width,
          sortingComparator: column.by && ((a: T, b: T) => compare(column.by!(a), column.by!(b))),
          isRowHeader: column === columns[0],
        }))}
        ariaLabels={{
          tableLabel: title,
          selectionGroupLabel: `Selection of ${title.toLowerCase()}`,
          allItemsSelectionLabel: () => 'Select all',
          itemSelectionLabel: (_all, thing) => `Select ${name(thing)}`,
        }}
        enableKeyboardNavigation
        header={header}
        filter={
          <TextFilter
            {...filterProps}
            filteringPlaceholder={`Find ${title.toLowerCase()}`}
            filteringAriaLabel={`Find ${title.toLowerCase()}`}
            filteringClearAriaLabel="Clear"
            countText={`${filteredItemsCount} found`}
            onChange={(event) => {
              filterProps.onChange(event);
              if (filterKey) setParams(event.detail.filteringText ? { [filterKey]: event.detail.filteringText } : {}, { replace: true });
            }}
          />
        }
        pagination={<Pagination {...paginationProps} ariaLabels={{ nextPageLabel: 'Next page', previousPageLabel: 'Previous page', pageLabel: (page) => `Page ${page}` }} />}
      />
      {asked && (
        <Confirm action={asked} things={selected} one={one} name={name} close={() => setAsked(undefined)} go={() => run(asked, selected).then(() => set.setSelectedItems([]))} />
      )}
    </>
  );
}

const compare = (a: string | number, b: string | number) => (typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b)));

function Nothing({ one, create, mayWrite, words }: { one: string; create?: { label: string; go: () => void }; mayWrite: boolean; words?: string }) {
  return (
    <Box textAlign="center" padding={{ vertical: 'l' }}>
      <SpaceBetween size="m">
        <Box variant="p" color="text-body-secondary">{words ?? `There is no ${one} here yet.`}</Box>
        {create && mayWrite && <Button onClick={create.go}>{create.label}</Button>}
      </SpaceBetween>
    </Box>
  );
}

/** Runs an action for each thing and tells what became of each. */
export function useRun<T>(name: (thing: T) => string) {
  const news = useNews();
  return async (action: Doable<T>, things: readonly T[]) => {
    const results = await Promise.allSettled(things.map((thing) => action.run(thing)));
    if (action.opens && results[0]?.status === 'fulfilled') return;
    const good = things.filter((_, at) => results[at]?.status === 'fulfilled').map(name);
    results.forEach((result, at) => {
      const thing = things[at];
      if (result.status === 'rejected' && thing !== undefined) news.fail(`${action.label}: ${name(thing)}`, result.reason);
    });
    if (good.length > 0) news.tell('success', `${action.label}: ${good.slice(0, 5).join(', ')}${good.length > 5 ? ` and ${good.length - 5} more` : ''}`);
  };
}

/** Asks before something that cannot be undone, and says what goes with it. */
export function Confirm<T>({ action, things: selected, one, name, close, go }: { action: Doable<T>; things: readonly T[]; one: string; name: (thing: T) => string; close: () => void; go: () => Promise<unknown> }) {
  const [busy, setBusy] = useState(false);
  // What was asked about; the list goes on without it as soon as it is gone.
  const [things] = useState(selected);
  const subject = things.length === 1 ? `the ${one} ${name(things[0]!)}` : `${things.length} ${one}s`;
  return (
    <Modal
      visible
      header={`${action.label}: ${subject}?`}
      closeAriaLabel="Close"
      onDismiss={close}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={close}>Cancel</Button>
            <Button variant="primary" loading={busy} onClick={() => { setBusy(true); void go().finally(close); }}>{action.label}</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <Box>{action.danger}</Box>
        {things.length > 1 && <ul>{things.slice(0, 20).map((thing) => <li key={name(thing)}>{name(thing)}</li>)}</ul>}
        <Command text={things.map((thing) => action.command(thing)).join('\n')} />
      </SpaceBetween>
    </Modal>
  );
}
