// The project's network as a picture that follows what happens; the same as a list for whoever does not see it.
import '@xyflow/react/dist/style.css';
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Container from '@cloudscape-design/components/container';
import Header from '@cloudscape-design/components/header';
import ExpandableSection from '@cloudscape-design/components/expandable-section';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import { Background, Controls, Handle, Position, ReactFlow, type Node, type NodeProps } from '@xyflow/react';
import { useMemo } from 'react';
import { graphOf, MOST, type Spot } from '../cloud/topology';
import { useHere, useThings } from '../cloud/session';
import { To, useGo } from '../parts/small';

const WORDS = { external: 'External network', router: 'Router', network: 'Network', server: 'Instance' };

function SpotNode({ data }: NodeProps<Node<{ spot: Spot }>>) {
  const { spot } = data;
  return (
    <div className={`node ${spot.kind} ${spot.mood ?? ''}`} title={`${WORDS[spot.kind]} ${spot.name}`}>
      <Handle type="target" position={Position.Left} isConnectable={false} style={{ visibility: 'hidden' }} />
      <b>{spot.name}</b>
      <span>{spot.mood === 'bad' ? 'In error · ' : spot.mood === 'busy' ? 'Busy · ' : ''}{spot.detail}</span>
      <Handle type="source" position={Position.Right} isConnectable={false} style={{ visibility: 'hidden' }} />
    </div>
  );
}
const KINDS = { spot: SpotNode };

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
  const nodes = useMemo(() => graph.spots.map((spot) => ({ id: spot.id, type: 'spot', position: { x: spot.x, y: spot.y }, data: { spot }, ariaLabel: `${WORDS[spot.kind]} ${spot.name}, ${spot.detail}`, draggable: false, connectable: false })), [graph]);
  const edges = useMemo(() => graph.lines.map((line) => ({ id: line.id, source: line.from, target: line.to, type: 'smoothstep', focusable: false })), [graph]);
  const dark = document.documentElement.dataset.mode === 'dark';
  const shape = graph.spots.map((spot) => spot.id).join(' ');
  return (
    <Container header={<Header variant="h1" description="Follows what happens. Choose something to open it.">Topology</Header>}>
      <SpaceBetween size="m">
        {graph.spots.length >= MOST && <Alert type="info">Only the first {MOST} things are drawn.</Alert>}
        {networks.loading ? (
          <StatusIndicator type="loading">Loading the networks</StatusIndicator>
        ) : graph.spots.length === 0 ? (
          <Box textAlign="center" padding="xl">There is no network in {project.name} yet. <To to="/networks">Create one</To></Box>
        ) : (
          <div className="canvas">
            <ReactFlow key={shape} nodes={nodes} edges={edges} nodeTypes={KINDS} fitView fitViewOptions={{ maxZoom: 1.1, padding: 0.12 }} minZoom={0.2} colorMode={dark ? 'dark' : 'light'} nodesDraggable={false} nodesConnectable={false} onNodeClick={(_event, node) => go(node.data.spot.to)} aria-label="Topology" proOptions={{ hideAttribution: true }}>
              <Background gap={24} />
              <Controls showInteractive={false} />
            </ReactFlow>
          </div>
        )}
        <ExpandableSection headerText="The same as a list">
          <ul>
            {graph.spots.map((spot) => (
              <li key={spot.id}>{WORDS[spot.kind]} <To to={spot.to}>{spot.name}</To>, {spot.detail}{connectedTo(spot.id, graph)}</li>
            ))}
          </ul>
        </ExpandableSection>
      </SpaceBetween>
    </Container>
  );
}

function connectedTo(id: string, graph: ReturnType<typeof graphOf>): string {
  const others = graph.lines.filter((line) => line.from === id).map((line) => graph.spots.find((spot) => spot.id === line.to)?.name);
  return others.length > 0 ? `; leads to ${others.join(', ')}` : '';
}
