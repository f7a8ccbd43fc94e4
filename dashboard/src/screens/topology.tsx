// The project's network as a picture that follows what happens.
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Container from '@cloudscape-design/components/container';
import Header from '@cloudscape-design/components/header';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import { useMemo } from 'react';
import { MOST } from '../cloud/graph';
import { graphOf } from '../cloud/topology';
import { useHere, useThings } from '../cloud/session';
import { Picture } from '../parts/graph';
import { To, useGo } from '../parts/small';

export function Topology() {
  const networks = useThings('networks');
  const subnets = useThings('subnets').things;
  const ports = useThings('ports').things;
  const routers = useThings('routers').things;
  const servers = useThings('servers').things;
  const floating = useThings('floatingips').things;
  const { project } = useHere();
  const go = useGo();
  const graph = useMemo(() => graphOf({ networks: networks.things, subnets, ports, routers, servers, floating }), [networks.things, subnets, ports, routers, servers, floating]);
  return (
    <Container header={<Header variant="h1" description="Follows what happens. Choose something to open it.">Topology</Header>}>
      <SpaceBetween size="m">
        {graph.spots.length >= MOST && <Alert type="info">Only the first {MOST} things are drawn.</Alert>}
        {networks.loading ? (
          <StatusIndicator type="loading">Loading the networks</StatusIndicator>
        ) : graph.spots.length === 0 ? (
          <Box textAlign="center" padding="xl">There is no network in {project.name} yet. <To to="/networks">Create one</To></Box>
        ) : (
          <Picture graph={graph} label="Topology" choose={(spot) => go(spot.to)} />
        )}
      </SpaceBetween>
    </Container>
  );
}
