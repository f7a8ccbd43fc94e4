import { describe, expect, it } from 'vitest';
import { initialValues, wrongs } from './fields';
import type { Stack, StackResource } from './kinds';
import { chosen, diffLines, fieldsOf, placeOf, STACK_ACTIONS, stackGraph, updateRefused, type Changes, type Parameter } from './stacks';

const stack = (stack_status: string) => ({ stack_name: 'web', stack_status }) as Stack;
const can = (id: string, state: string) => STACK_ACTIONS.find((action) => action.id === id)!.can(stack(state));

describe('what can be done with a stack', () => {
  it('depends on its state, and says why not', () => {
    expect(can('resume', 'SUSPEND_COMPLETE')).toBe(true);
    expect(can('resume', 'CREATE_COMPLETE')).toBe('It is not suspended.');
    expect(can('suspend', 'SUSPEND_COMPLETE')).toBe('It is suspended already.');
    expect(can('check', 'UPDATE_IN_PROGRESS')).toBe('It is at something: update in progress.');
    expect(can('delete', 'UPDATE_IN_PROGRESS')).toBe(true);
    expect(can('cancel', 'UPDATE_IN_PROGRESS')).toBe(true);
    expect([updateRefused(stack('UPDATE_FAILED')), updateRefused(stack('DELETE_FAILED'))]).toEqual([undefined, expect.stringContaining('Delete it again')]);
  });
});

describe('the form of a template', () => {
  const parameters: Record<string, Parameter> = {
    count: { Type: 'Number', Default: 2, MinValue: 0, MaxValue: 5 },
    image: { Type: 'String', CustomConstraint: 'glance.image' },
    size: { Type: 'String', AllowedValues: ['small', 'large'], Default: 'small' },
    secret: { Type: 'String', NoEcho: 'true', MinLength: 8 },
    open: { Type: 'Boolean', Default: 'True' },
    tags: { Type: 'CommaDelimitedList', Default: ['a', 'b'] },
    extra: { Type: 'Json', Default: { a: 1 } },
  };
  const fields = fieldsOf(parameters, { 'glance.image': [{ value: 'i', label: 'debian' }] });

  it('asks for each parameter in its way', () => {
    expect(fields.map((field) => field.kind)).toEqual(['text', 'select', 'select', 'password', 'check', 'text', 'textarea']);
    expect(initialValues(fields)).toMatchObject({ count: '2', size: 'small', open: true, tags: 'a,b', extra: '{"a":1}' });
    const values = { ...initialValues(fields), count: '9', secret: 'short', extra: '{' };
    expect(wrongs(fields, values)).toEqual({ count: 'At most 5.', image: expect.stringContaining('is needed'), secret: 'At least 8 characters.', extra: expect.stringContaining('JSON') });
  });

  it('sends only what is not as it stands anyway', () => {
    const values = { ...initialValues(fields), image: 'i', secret: 'long enough', open: false };
    expect(chosen(parameters, values)).toEqual({ image: 'i', secret: 'long enough', open: 'false' });
  });
});

it('a mistake is found in the template', () => {
  expect(placeOf('did not find expected key at line 12, column 3')).toEqual({ line: 12, column: 3 });
  expect(placeOf('The Resource (x) could not be found.')).toBeUndefined();
});

it('the picture puts what is needed before what needs it', () => {
  const one = (resource_name: string, resource_status: string, required_by: string[]) => ({ resource_name, resource_status, required_by, resource_type: 'OS::Neutron::Net' }) as StackResource;
  const graph = stackGraph([one('net', 'CREATE_COMPLETE', ['subnet', 'gone']), one('subnet', 'CREATE_FAILED', [])]);
  expect(graph.spots.map((spot) => [spot.id, spot.mood])).toEqual([['net', 'good'], ['subnet', 'bad']]);
  expect(graph.spots[0]!.detail).toBe('Net · complete');
  expect(graph.spots[0]!.x).toBeLessThan(graph.spots[1]!.x);
  expect(graph.lines).toEqual([{ id: 'net-subnet', from: 'net', to: 'subnet' }]);
});

it('a preview reads as a diff, what is lost first', () => {
  const change = (resource_name: string, properties = 0) => ({ resource_name, resource_type: 'T', why: 'w', property_changes: Array.from({ length: properties }, () => ({ property: 'name', before: 'a', after: null, in_place: true, known_after_update: false })) });
  const lines = diffLines({ added: [change('new')], updated: [change('net', 1)], deleted: [change('old')], replaced: [], unchanged: [change('same')] } as Changes);
  expect(lines.map((line) => [line.kind, line.change.resource_name, ...line.properties])).toEqual([['deleted', 'old'], ['updated', 'net', 'name: "a" → nothing'], ['added', 'new']]);
});
