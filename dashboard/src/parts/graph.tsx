// A graph as a picture that follows what happens; the same as a list for whoever does not see it.
import '@xyflow/react/dist/style.css';
import ExpandableSection from '@cloudscape-design/components/expandable-section';
import { Background, Controls, Handle, Position, ReactFlow, type Node, type NodeProps } from '@xyflow/react';
import { useMemo } from 'react';
import type { Graph, Spot } from '../cloud/graph';
import { To } from './small';

const WORDS = { external: 'External network', router: 'Router', network: 'Network', server: 'Instance', resource: 'Resource' };
const MOODS = { bad: 'In error · ', busy: 'Busy · ', good: '' };

function SpotNode({ data }: NodeProps<Node<{ spot: Spot }>>) {
  const { spot } = data;
  const mood = spot.mood && spot.kind !== 'resource' ? MOODS[spot.mood] : '';
  return (
    <div className={`node ${spot.kind} ${spot.mood ?? ''}`} title={`${WORDS[spot.kind]} ${spot.name}: ${spot.detail}`}>
      <Handle type="target" position={Position.Left} isConnectable={false} style={{ visibility: 'hidden' }} />
      <b>{spot.name}</b>
      <span>{mood}{spot.detail}</span>
      <Handle type="source" position={Position.Right} isConnectable={false} style={{ visibility: 'hidden' }} />
    </div>
  );
}
const KINDS = { spot: SpotNode };

export function Picture({ graph, label, choose, low }: { graph: Graph; label: string; choose: (spot: Spot) => void; low?: boolean }) {
  const nodes = useMemo(() => graph.spots.map((spot) => ({ id: spot.id, type: 'spot', position: { x: spot.x, y: spot.y }, data: { spot }, ariaLabel: `${WORDS[spot.kind]} ${spot.name}, ${spot.detail}`, draggable: false, connectable: false })), [graph]);
  const edges = useMemo(() => graph.lines.map((line) => ({ id: line.id, source: line.from, target: line.to, type: 'smoothstep', focusable: false })), [graph]);
  const dark = document.documentElement.dataset.mode === 'dark';
  const shape = graph.spots.map((spot) => spot.id).join(' ');
  return (
    <>
      <div className={low ? 'canvas low' : 'canvas'}>
        <ReactFlow key={shape} nodes={nodes} edges={edges} nodeTypes={KINDS} fitView fitViewOptions={{ maxZoom: 1.1, padding: 0.12 }} minZoom={0.2} colorMode={dark ? 'dark' : 'light'} nodesDraggable={false} nodesConnectable={false} onNodeClick={(_event, node) => choose(node.data.spot)} aria-label={label} proOptions={{ hideAttribution: true }}>
          <Background gap={24} />
          <Controls showInteractive={false} />
        </ReactFlow>
      </div>
      <ExpandableSection headerText="The same as a list">
        <ul>
          {graph.spots.map((spot) => (
            <li key={spot.id}>{WORDS[spot.kind]} {spot.to ? <To to={spot.to}>{spot.name}</To> : spot.name}, {spot.detail}{connectedTo(spot.id, graph)}</li>
          ))}
        </ul>
      </ExpandableSection>
    </>
  );
}

function connectedTo(id: string, graph: Graph): string {
  const others = graph.lines.filter((line) => line.from === id).map((line) => graph.spots.find((spot) => spot.id === line.to)?.name);
  return others.length > 0 ? `; leads to ${others.join(', ')}` : '';
}
