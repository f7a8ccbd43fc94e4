// Stacks: what can be done in which state, the form that a template asks for, where a mistake stands, and the picture.
import type { Action } from './actions';
import { openstack } from './cli';
import type { Field, Values } from './fields';
import type { Stack, StackResource } from './kinds';
import { layOut, type Graph, type Spot } from './graph';
import { sentence } from './words';

/** `CREATE_IN_PROGRESS` → `CREATE` and `IN_PROGRESS`. */
export function stateOf(state: string): { action: string; status: string } {
  const [action = '', ...rest] = state.split('_');
  return { action, status: rest.join('_') };
}

export const isBusy = (stack: Pick<Stack, 'stack_status'>) => stateOf(stack.stack_status).status === 'IN_PROGRESS';

export interface StackAction extends Action<Stack> {
  /** The body of `POST …/actions`; none: DELETE. */
  body?: Record<string, null>;
}

const idle = (stack: Stack): true | string => (isBusy(stack) ? `It is at something: ${sentence(stack.stack_status).toLowerCase()}.` : true);
const named = (verb: string) => (stack: Stack) => openstack(verb, [], stack.stack_name);

export const STACK_ACTIONS: StackAction[] = [
  { id: 'check', label: 'Check', can: idle, command: named('stack check'), body: { check: null } },
  {
    id: 'suspend', label: 'Suspend', command: named('stack suspend'), body: { suspend: null },
    can: (stack) => (idle(stack) === true && stateOf(stack.stack_status).action === 'SUSPEND' ? 'It is suspended already.' : idle(stack)),
  },
  {
    id: 'resume', label: 'Resume', command: named('stack resume'), body: { resume: null },
    can: (stack) => (idle(stack) === true && stateOf(stack.stack_status).action !== 'SUSPEND' ? 'It is not suspended.' : idle(stack)),
  },
  {
    id: 'cancel', label: 'Cancel the update', command: named('stack cancel'), body: { cancel_update: null }, danger: 'It goes back to what it was before the update.',
    can: (stack) => stack.stack_status === 'UPDATE_IN_PROGRESS' || 'It is not being updated.',
  },
  {
    id: 'delete', label: 'Delete', command: (stack) => openstack('stack delete', [['yes', true]], stack.stack_name), danger: 'Everything in it goes with it. This cannot be undone.',
    can: (stack) => stack.stack_status !== 'DELETE_IN_PROGRESS' || 'It is being deleted already.',
  },
];

/** Why this stack cannot be updated now. */
export function updateRefused(stack: Stack): string | undefined {
  const { action, status } = stateOf(stack.stack_status);
  if (action === 'DELETE') return 'It is being deleted, or deleting it failed. Delete it again.';
  if (action === 'SUSPEND') return 'It is suspended. Resume it first.';
  if (status === 'IN_PROGRESS' && (action === 'RESUME' || action === 'CHECK')) return `It is at something: ${sentence(stack.stack_status).toLowerCase()}.`;
  return undefined;
}

/** Where in the template a mistake stands, as orchestration names it; counted from 1. */
export function placeOf(message: string): { line: number; column: number } | undefined {
  const found = /line (\d+), column (\d+)/.exec(message);
  return found ? { line: Number(found[1]), column: Number(found[2]) } : undefined;
}

/** What validation says of a parameter. */
export interface Parameter {
  Type: string; Description?: string; NoEcho?: string; Label?: string; Default?: unknown; Value?: unknown;
  AllowedValues?: unknown[]; AllowedPattern?: string; MinLength?: number; MaxLength?: number; MinValue?: number; MaxValue?: number;
  CustomConstraint?: string; ConstraintDescription?: string;
}

const asText = (value: unknown): string => (value === undefined || value === null ? '' : typeof value === 'string' ? value : Array.isArray(value) && value.every((one) => typeof one === 'string') ? value.join(',') : JSON.stringify(value));

/** What stands in a parameter's field: its value now, else its default. */
export const initialOf = (parameter: Parameter) => asText(parameter.Value ?? parameter.Default);

function wrongOf(parameter: Parameter) {
  return (value: string): string | undefined => {
    const because = parameter.ConstraintDescription ? ` ${parameter.ConstraintDescription}` : '';
    if (parameter.Type === 'Number') {
      const number = Number(value);
      if (value === '' || !Number.isFinite(number)) return 'A number.';
      if (parameter.MinValue !== undefined && number < parameter.MinValue) return `At least ${parameter.MinValue}.${because}`;
      if (parameter.MaxValue !== undefined && number > parameter.MaxValue) return `At most ${parameter.MaxValue}.${because}`;
    }
    if (parameter.Type === 'Json') {
      try {
        JSON.parse(value);
      } catch {
        return 'JSON, such as {"key": "value"}.';
      }
    }
    if (parameter.MinLength !== undefined && value.length < parameter.MinLength) return `At least ${parameter.MinLength} characters.${because}`;
    if (parameter.MaxLength !== undefined && value.length > parameter.MaxLength) return `At most ${parameter.MaxLength} characters.${because}`;
    return undefined;
  };
}

/** Things by name that a constraint such as `nova.flavor` may be met with. */
export type Offers = Record<string, { value: string; label: string }[]>;

/** The form that a template asks for. */
export function fieldsOf(parameters: Record<string, Parameter>, offers: Offers = {}): Field[] {
  return Object.entries(parameters).map(([name, parameter]) => {
    const initial = initialOf(parameter);
    const field: Field = { name, label: parameter.Label ?? name, hint: parameter.Description || undefined, optional: parameter.Default !== undefined, initial, wrong: wrongOf(parameter) };
    const allowed = parameter.AllowedValues?.map((value) => ({ value: asText(value), label: asText(value) }));
    const offered = parameter.CustomConstraint ? offers[parameter.CustomConstraint] : undefined;
    if (parameter.NoEcho === 'true') return { ...field, kind: 'password' };
    if (parameter.Type === 'Boolean') return { ...field, kind: 'check', initial: /^(true|t|yes|y|on|1)$/i.test(initial) };
    if (allowed) return { ...field, kind: 'select', choices: allowed };
    if (offered) return { ...field, kind: 'select', choices: offered.some((choice) => choice.value === initial) || initial === '' ? offered : [{ value: initial, label: initial }, ...offered] };
    return { ...field, kind: parameter.Type === 'Json' ? 'textarea' : 'text' };
  });
}

/** What of the form goes into the request: what is not as it stands anyway. */
export function chosen(parameters: Record<string, Parameter>, values: Values): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, parameter] of Object.entries(parameters)) {
    const value = values[name];
    const text = typeof value === 'boolean' ? String(value) : typeof value === 'string' ? value.trim() : '';
    const before = parameter.Type === 'Boolean' ? String(/^(true|t|yes|y|on|1)$/i.test(initialOf(parameter))) : initialOf(parameter);
    const known = parameter.Value !== undefined || parameter.Default !== undefined;
    if (text !== before || (!known && text !== '')) found[name] = text;
  }
  return found;
}

const MOODS: Record<string, Spot['mood']> = { FAILED: 'bad', IN_PROGRESS: 'busy', COMPLETE: 'good' };

/** The resources of a stack: what is needed stands left of what needs it. */
export function stackGraph(resources: StackResource[]): Graph {
  const spots = resources.map((resource) => {
    const { status } = stateOf(resource.resource_status);
    // There is little room: the type's last word, and how it is. The table beside it has all of both.
    const type = resource.resource_type.split('::').pop();
    return { id: resource.resource_name, kind: 'resource' as const, name: resource.resource_name, detail: `${type} · ${sentence(status).toLowerCase()}`, mood: MOODS[status], to: '' };
  });
  const known = new Set(spots.map((spot) => spot.id));
  const lines = resources.flatMap((resource) => (resource.required_by ?? []).filter((name) => known.has(name)).map((name) => ({ id: `${resource.resource_name}-${name}`, from: resource.resource_name, to: name })));
  return layOut(spots, lines);
}

export interface Change {
  resource_name: string; resource_type: string; why: string;
  property_changes: { property: string; before: unknown; after: unknown; in_place: boolean; known_after_update: boolean }[];
}
export type ChangeKind = 'added' | 'updated' | 'replaced' | 'deleted' | 'unchanged';
export type Changes = Record<ChangeKind, Change[]>;

/** What a preview says, as lines of a diff: a sign, what it is about, and why. */
export function diffLines(changes: Changes): { kind: ChangeKind; change: Change; properties: string[] }[] {
  const shown = (value: unknown) => (value === null || value === undefined ? 'nothing' : JSON.stringify(value));
  const order: ChangeKind[] = ['deleted', 'replaced', 'updated', 'added'];
  return order.flatMap((kind) => (changes[kind] ?? []).map((change) => ({
    kind, change,
    properties: change.property_changes.map((one) => `${one.property}: ${shown(one.before)} → ${one.known_after_update ? 'known after the update' : shown(one.after)}`),
  })));
}

export const FIRST_TEMPLATE = `heat_template_version: 2021-04-16
description: A network of its own.

parameters:
  cidr:
    type: string
    default: 10.40.0.0/24
    description: Addresses of the network.

resources:
  network:
    type: OS::Neutron::Net
  subnet:
    type: OS::Neutron::Subnet
    properties:
      network: {get_resource: network}
      cidr: {get_param: cidr}

outputs:
  network_id:
    description: The network's id.
    value: {get_resource: network}
`;
