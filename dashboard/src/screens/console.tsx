// The consoles of an instance, in a frame: a terminal on its serial line, and its screen.
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Container from '@cloudscape-design/components/container';
import Header from '@cloudscape-design/components/header';
import SegmentedControl from '@cloudscape-design/components/segmented-control';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useEffect, useState } from 'react';
import { openstack } from '../cloud/cli';
import { COMPUTE, type Server } from '../cloud/kinds';
import { useAsk, useHere } from '../cloud/session';
import { words } from '../parts/news';
import { Command } from '../parts/small';
import { pageOf } from '../console/address';

const KINDS = { serial: { protocol: 'serial', type: 'serial' }, vnc: { protocol: 'vnc', type: 'novnc' } } as const;
type Kind = keyof typeof KINDS;

/** Why there is no console now. */
function refusedFor(server: Server, mayWrite: boolean): string | undefined {
  if (!mayWrite) return 'You may only look in this project: your role is reader.';
  if (server.status !== 'ACTIVE' && server.status !== 'PAUSED') return 'It does not run. Start it first.';
  return undefined;
}

export function Console({ server }: { server: Server }) {
  const ask = useAsk();
  const { mayWrite } = useHere();
  const [kind, setKind] = useState<Kind>('serial');
  const [page, setPage] = useState<string>();
  const [fault, setFault] = useState<unknown>();
  const [again, setAgain] = useState(0);
  const refused = refusedFor(server, mayWrite);
  const link = async (kind: Kind) => {
    const answer = await ask<{ remote_console: { url: string } }>('compute', `/v2.1/servers/${server.id}/remote-consoles`, { method: 'POST', version: COMPUTE, body: { remote_console: KINDS[kind] } });
    const { url } = answer.remote_console;
    if (kind === 'serial') return pageOf(url);
    const { pathname, search } = new URL(url);
    return pathname + search;
  };
  // A link is good once, so each kind and each new try asks for one.
  useEffect(() => {
    if (refused) return setPage(undefined);
    let wanted = true;
    setFault(undefined);
    setPage(undefined);
    link(kind).then((page) => wanted && setPage(page), (why: unknown) => wanted && setFault(why));
    return () => {
      wanted = false;
    };
  }, [kind, again, refused, server.id]);
  const popOut = () => {
    const opened = open('about:blank', '_blank');
    link(kind).then(
      (page) => opened?.location.replace(page),
      (why: unknown) => {
        opened?.close();
        setFault(why);
      },
    );
  };
  return (
    <Container
      header={
        <Header
          variant="h2"
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <SegmentedControl label="Kind of console" selectedId={kind} onChange={({ detail }) => setKind(detail.selectedId as Kind)} options={[{ id: 'serial', text: 'Serial' }, { id: 'vnc', text: 'Screen' }]} />
              <Button disabled={!!refused} disabledReason={refused} onClick={() => setAgain(again + 1)}>Connect again</Button>
              <Button disabled={!!refused} disabledReason={refused} iconName="external" onClick={popOut}>In a window</Button>
            </SpaceBetween>
          }
        >
          Console
        </Header>
      }
    >
      <SpaceBetween size="m">
        {fault !== undefined && <Alert type="error">{words(fault)}</Alert>}
        {refused ? <Alert type="info">{refused}</Alert> : page ? <iframe key={page} className="console" src={page} title={kind === 'serial' ? 'Serial console' : 'Screen'} /> : <Box padding="l">Opening…</Box>}
        <Command text={openstack('console url show', [[kind === 'serial' ? 'serial' : 'novnc', true]], server.id)} />
      </SpaceBetween>
    </Container>
  );
}
