// Things and what connects them, laid out from left to right.
import dagre from '@dagrejs/dagre';

export interface Spot {
  id: string;
  kind: 'external' | 'router' | 'network' | 'server' | 'resource';
  name: string;
  detail: string;
  mood?: 'bad' | 'busy' | 'good';
  to: string;
  x: number;
  y: number;
}
export interface Graph {
  spots: Spot[];
  lines: { id: string; from: string; to: string; label?: string }[];
}
const WIDTH = 190;
const HEIGHT = 56;
/** More would be no picture any more. */
export const MOST = 300;

export function layOut(all: Omit<Spot, 'x' | 'y'>[], lines: Graph['lines']): Graph {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: 'LR', nodesep: 18, ranksep: 70 });
  graph.setDefaultEdgeLabel(() => ({}));
  const spots = all.slice(0, MOST);
  for (const spot of spots) graph.setNode(spot.id, { width: WIDTH, height: HEIGHT });
  const drawn = lines.filter((line) => graph.hasNode(line.from) && graph.hasNode(line.to));
  for (const line of drawn) graph.setEdge(line.from, line.to);
  dagre.layout(graph);
  return { spots: spots.map((spot) => ({ ...spot, x: graph.node(spot.id).x - WIDTH / 2, y: graph.node(spot.id).y - HEIGHT / 2 })), lines: drawn };
}
