import { describe, expect, it } from 'vitest';
import { SERVER_ACTIONS, canAll } from './actions';
import type { Server } from './kinds';

const server = (status: string, more: Partial<Server> = {}) => ({ name: 'web', status, locked: false, 'OS-EXT-STS:task_state': null, ...more }) as Server;
const can = (id: string, thing: Server) => SERVER_ACTIONS.find((action) => action.id === id)!.can(thing);

describe('what can be done with a server', () => {
  it('depends on its state, and a reason says why not', () => {
    expect(can('start', server('SHUTOFF'))).toBe(true);
    expect(can('start', server('ACTIVE'))).toBe('It is running; this needs it to be shut off.');
    expect(can('stop', server('ACTIVE', { locked: true }))).toContain('locked');
    expect(can('stop', server('ACTIVE', { 'OS-EXT-STS:task_state': 'powering-off' }))).toBe('It is busy: powering off.');
    expect(can('resume', server('PAUSED'))).toContain('suspended');
  });
  it('a server can be deleted in every state unless it is locked', () => {
    for (const status of ['BUILD', 'ACTIVE', 'ERROR', 'SHUTOFF']) expect(can('delete', server(status))).toBe(true);
    expect(can('delete', server('ACTIVE', { locked: true }))).not.toBe(true);
  });
  it('a resized one waits for a decision, and volumes stay where a guest cannot take them along', () => {
    expect(can('confirm-resize', server('VERIFY_RESIZE'))).toBe(true);
    expect(can('confirm-resize', server('ACTIVE'))).toBe('It is running; this needs it to be resized and not confirmed.');
    expect(can('resize', server('VERIFY_RESIZE'))).toContain('not confirmed');
    const full = server('ACTIVE', { 'os-extended-volumes:volumes_attached': [{ id: 'v', delete_on_termination: false }] });
    expect([can('live-migrate', server('ACTIVE')), can('migrate', full), can('detach-volume', full), can('attach-volume', full)]).toEqual([true, true, true, true]);
    expect(can('live-migrate', full)).toContain('volumes');
    expect(can('detach-volume', server('ACTIVE'))).toBe('No volume is attached to it.');
    expect(can('attach-volume', server('SUSPENDED'))).toContain('suspended');
  });
  it('of several, the one that stands in the way is named', () => {
    const stop = SERVER_ACTIONS.find((action) => action.id === 'stop')!;
    expect(canAll(stop, [], (one) => one.name)).toContain('Select');
    expect(canAll(stop, [server('ACTIVE'), server('SHUTOFF', { name: 'db' })], (one) => one.name)).toMatch(/^db: /);
  });
});
