// One container: folders and objects, uploads and downloads, metadata, and who may read.
import Alert from '@cloudscape-design/components/alert';
import BreadcrumbGroup from '@cloudscape-design/components/breadcrumb-group';
import Button from '@cloudscape-design/components/button';
import Container from '@cloudscape-design/components/container';
import ContentLayout from '@cloudscape-design/components/content-layout';
import Header from '@cloudscape-design/components/header';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import Link from '@cloudscape-design/components/link';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useParams, useSearchParams } from 'react-router';
import { Fault, headersAt, ROOT } from '../cloud/api';
import { openstack, quote } from '../cloud/cli';
import type { Entry } from '../cloud/kinds';
import { containerPath, lastOf, metaHeaders, metaText, nameOf, objectPath, PUBLIC_ACL, readers, trail, wrongMeta } from '../cloud/objects';
import { useAsk, useHere, useThings } from '../cloud/session';
import { bytes } from '../cloud/words';
import { FormDialog, text } from '../parts/form';
import { List, type Doable } from '../parts/list';
import { useNews, words } from '../parts/news';
import { Ago, Command, Copy, useGo } from '../parts/small';
import { UploadObjects } from './upload';

/** Entries that are asked for at a time. */
const PAGE = 1000;
const META = 'x-container-meta-';
const OBJECT_META = 'x-object-meta-';

export function ContainerPage() {
  const { name = '' } = useParams();
  const { project, live, mayWrite } = useHere();
  const ask = useAsk();
  const go = useGo();
  const news = useNews();
  const queries = useQueryClient();
  const [params, setParams] = useSearchParams();
  const prefix = params.get('folder') ?? '';
  const marker = params.get('after') ?? '';
  const [open, setOpen] = useState<'upload' | 'folder' | 'meta'>();
  const [described, setDescribed] = useState<{ name: string; meta: string; type: string }>();
  // The list of containers is what the event stream watches; it changes with what is in them.
  useThings('containers');
  const path = containerPath(project.id, name);
  const every = live ? 60_000 : 4_000;
  const head = useQuery({ queryKey: [project.id, 'containers', name], queryFn: () => headersAt('object', path, { project: project.id }), refetchInterval: every });
  const list = useQuery({
    queryKey: [project.id, 'containers', name, prefix, marker],
    queryFn: () => ask<Entry[]>('object', `${path}?${new URLSearchParams({ format: 'json', delimiter: '/', limit: String(PAGE), prefix, ...(marker && { marker }) })}`),
    refetchInterval: every,
  });
  const refresh = () => void queries.invalidateQueries({ queryKey: [project.id, 'containers'] });
  if (head.error instanceof Fault && head.error.status === 404) {
    return <Alert type="info" header="This container is not there any more" action={<Button onClick={() => go('/containers')}>All containers</Button>}>It was deleted, or it is in another project.</Alert>;
  }
  if (head.error && !head.data) return <Alert type="error" header="The container cannot be shown">{words(head.error)}</Alert>;
  if (!head.data) return <StatusIndicator type="loading">Loading the container</StatusIndicator>;
  const headers = head.data;
  const who = readers(headers.get('x-container-read'));
  const meta = metaText(headers, META);
  const things = (list.data ?? []).filter((entry) => nameOf(entry) !== prefix);
  const enter = (folder: string) => setParams(folder ? { folder } : {});
  const reader = mayWrite ? undefined : 'You may only look in this project: your role is reader.';
  const change = async (what: string, headers: Record<string, string>) => {
    try {
      await ask('object', path, { method: 'POST', headers });
      news.tell('success', what);
    } catch (why) {
      news.fail(name, why);
    } finally {
      refresh();
    }
  };
  const describe = async (entry: Entry) => {
    const seen = await headersAt('object', objectPath(project.id, name, nameOf(entry)), { project: project.id });
    setDescribed({ name: nameOf(entry), meta: metaText(seen, OBJECT_META), type: seen.get('content-type') ?? 'application/octet-stream' });
  };
  // A folder is an object whose name ends with "/", or only what the names of others have in common.
  const removed = async (entry: Entry) => {
    if ('subdir' in entry) {
      const inside = await ask<Entry[]>('object', `${path}?${new URLSearchParams({ format: 'json', limit: '2', prefix: entry.subdir })}`);
      if (inside.some((one) => nameOf(one) !== entry.subdir)) throw new Fault('There are objects in it. Delete them first.', 409);
    }
    await ask('object', objectPath(project.id, name, nameOf(entry)), { method: 'DELETE' });
  };
  const notFolder = (entry: Entry) => ('subdir' in entry ? 'It is a folder; metadata belongs to what is in it.' : true);
  const actions: Doable<Entry>[] = [
    { id: 'meta', label: 'Metadata', opens: true, can: notFolder, command: (entry) => openstack('object show', [], name, nameOf(entry)), run: describe },
    {
      id: 'delete', label: 'Delete', danger: 'This cannot be undone.', can: () => true, command: (entry) => openstack('object delete', [], name, nameOf(entry)),
      run: (entry) => removed(entry).finally(refresh),
    },
  ];
  const download = (entry: Extract<Entry, { name: string }>) => `${ROOT}/download/${project.id}${objectPath(project.id, name, entry.name)}`;
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Button disabled={!!reader} disabledReason={reader} onClick={() => setOpen('meta')}>Metadata</Button>
              {who === 'public' ? (
                <Button disabled={!!reader} disabledReason={reader} onClick={() => void change(`${name} is private`, { 'X-Container-Read': '' })}>Make private</Button>
              ) : (
                <Button disabled={!!reader} disabledReason={reader} onClick={() => void change(`Everybody may read ${name}`, { 'X-Container-Read': PUBLIC_ACL })}>Make public</Button>
              )}
            </SpaceBetween>
          }
        >
          {name}
        </Header>
      }
    >
      <SpaceBetween size="l">
        <Container>
          <SpaceBetween size="m">
            <KeyValuePairs
              columns={4}
              items={[
                { label: 'Objects', value: headers.get('x-container-object-count') ?? '–' },
                { label: 'Size', value: bytes(Number(headers.get('x-container-bytes-used') ?? 0)) },
                { label: 'Read by', value: who === 'public' ? <StatusIndicator type="warning">Everybody</StatusIndicator> : who === 'shared' ? headers.get('x-container-read') : 'This project' },
                { label: 'Metadata', value: meta.replaceAll('\n', ', ') || '–' },
              ]}
            />
            {who === 'public' && <div>Its address for everybody: <Copy text={`${location.origin}/object${path}/`} /></div>}
            <Command text={`swift post --read-acl ${quote(who === 'public' ? '' : PUBLIC_ACL)} ${quote(name)}`} />
          </SpaceBetween>
        </Container>
        <BreadcrumbGroup
          ariaLabel="Folder"
          items={[{ text: name, href: '#' }, ...trail(prefix).map((part) => ({ text: part.name, href: `#${part.prefix}` }))]}
          onFollow={(event) => { event.preventDefault(); enter(event.detail.href.slice(1)); }}
        />
        <List
          variant="container"
          title="Objects"
          one="object"
          things={things}
          loading={list.isPending}
          error={list.error}
          id={nameOf}
          name={(entry) => lastOf(nameOf(entry))}
          empty={prefix ? 'There is nothing in this folder.' : undefined}
          create={{ label: 'Upload', go: () => setOpen('upload') }}
          extra={
            <SpaceBetween direction="horizontal" size="xs">
              <Button disabled={!!reader} disabledReason={reader} onClick={() => setOpen('folder')}>Create folder</Button>
              {marker && <Button onClick={() => enter(prefix)}>First {PAGE}</Button>}
              {(list.data?.length ?? 0) >= PAGE && <Button onClick={() => setParams({ ...(prefix && { folder: prefix }), after: nameOf(list.data!.at(-1)!) })}>Next {PAGE}</Button>}
            </SpaceBetween>
          }
          actions={actions}
          columns={[
            {
              id: 'name', header: 'Name', by: (entry) => ('subdir' in entry ? ` ${entry.subdir}` : entry.name),
              cell: (entry) => ('subdir' in entry
                ? <Button variant="inline-link" iconName="folder" ariaLabel={`Open folder ${lastOf(entry.subdir)}`} onClick={() => enter(entry.subdir)}>{lastOf(entry.subdir)}</Button>
                : <span>{lastOf(entry.name)}</span>),
            },
            { id: 'size', header: 'Size', cell: (entry) => ('subdir' in entry ? '–' : bytes(entry.bytes)), by: (entry) => ('subdir' in entry ? -1 : entry.bytes) },
            { id: 'type', header: 'Type', cell: (entry) => ('subdir' in entry ? 'Folder' : entry.content_type), by: (entry) => ('subdir' in entry ? '' : entry.content_type) },
            { id: 'changed', header: 'Changed', cell: (entry) => ('subdir' in entry ? '–' : <Ago at={entry.last_modified} />), by: (entry) => ('subdir' in entry ? '' : entry.last_modified) },
            { id: 'download', header: 'Download', cell: (entry) => ('subdir' in entry ? '–' : <Link href={download(entry)} ariaLabel={`Download ${lastOf(entry.name)}`}>Download</Link>) },
          ]}
        />
      </SpaceBetween>
      {open === 'upload' && <UploadObjects container={name} prefix={prefix} close={() => { setOpen(undefined); refresh(); }} />}
      {open === 'folder' && (
        <FormDialog
          title="Create a folder"
          button="Create"
          fields={[{ name: 'name', label: 'Name', placeholder: 'photos', wrong: (value) => (value.includes('/') ? 'Without "/".' : undefined) }]}
          close={() => setOpen(undefined)}
          done="The folder is there"
          command={(values) => `swift upload ${quote(name)} --object-name ${quote(`${prefix}${text(values, 'name') || 'NAME'}/`)} /dev/null`}
          submit={(values) => ask('object', objectPath(project.id, name, `${prefix}${text(values, 'name')}/`), { method: 'PUT', headers: { 'Content-Type': 'application/directory' } }).finally(refresh)}
        />
      )}
      {open === 'meta' && (
        <FormDialog
          title={`Metadata of ${name}`}
          button="Save"
          fields={[{ name: 'meta', label: 'Metadata', kind: 'textarea', optional: true, initial: meta, hint: 'One on each line: name=value.', placeholder: 'colour=blue', wrong: wrongMeta }]}
          close={() => setOpen(undefined)}
          done="The metadata is kept"
          command={(values) => openstack('container set', [['property', text(values, 'meta').split('\n').filter(Boolean)]], name)}
          submit={(values) => ask('object', path, { method: 'POST', headers: metaHeaders(text(values, 'meta'), META, meta) }).finally(refresh)}
        />
      )}
      {described && (
        <FormDialog
          title={`Metadata of ${lastOf(described.name)}`}
          button="Save"
          fields={[{ name: 'meta', label: 'Metadata', kind: 'textarea', optional: true, initial: described.meta, hint: 'One on each line: name=value.', placeholder: 'colour=blue', wrong: wrongMeta }]}
          close={() => setDescribed(undefined)}
          done="The metadata is kept"
          command={(values) => openstack('object set', [['property', text(values, 'meta').split('\n').filter(Boolean)]], name, described.name)}
          submit={(values) => ask('object', objectPath(project.id, name, described.name), { method: 'POST', headers: { ...metaHeaders(text(values, 'meta'), OBJECT_META), 'Content-Type': described.type } }).finally(refresh)}
        />
      )}
    </ContentLayout>
  );
}
