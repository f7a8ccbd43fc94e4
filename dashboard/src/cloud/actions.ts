// What can be done with a server in which state: one table for buttons, menus and commands. A reason stands where it cannot.
import { openstack } from './cli';
import type { Server } from './kinds';

export interface Action<T> {
  id: string;
  label: string;
  /** `true`, or why not. */
  can: (thing: T) => true | string;
  command: (thing: T) => string;
  /** What goes with it; asked about before it is done. */
  danger?: string;
  /** It asks for more in a dialog of its own, about one thing. */
  opens?: boolean;
}

export interface ServerAction extends Action<Server> {
  /** The body of `POST …/action`; none: DELETE, or what a form says. */
  body?: unknown;
  /** Whom it is for, or the service without which it is not there. */
  needs?: 'admin' | 'volumes';
}

const words: Record<string, string> = {
  ACTIVE: 'running', SHUTOFF: 'shut off', PAUSED: 'paused', SUSPENDED: 'suspended', ERROR: 'in error', BUILD: 'being built', SOFT_DELETED: 'deleted', DELETED: 'deleted',
  VERIFY_RESIZE: 'resized and not confirmed', RESIZE: 'being moved or resized', MIGRATING: 'being moved',
};
const stateWord = (server: Server) => words[server.status] ?? server.status.toLowerCase().replaceAll('_', ' ');

/** Possible in these states, while nothing else is going on and nobody has locked it. */
function inStates(...states: string[]) {
  return (server: Server): true | string => {
    if (server.locked) return 'It is locked. Unlock it first.';
    if (server['OS-EXT-STS:task_state']) return `It is busy: ${server['OS-EXT-STS:task_state'].replaceAll('_', ' ').replaceAll('-', ' ')}.`;
    if (!states.includes(server.status)) return `It is ${stateWord(server)}; this needs it to be ${states.map((state) => words[state] ?? state.toLowerCase()).join(' or ')}.`;
    return true;
  };
}

/** Whether its volumes can change. */
export const attachable = inStates('ACTIVE', 'PAUSED', 'SHUTOFF');
const volumesOf = (server: Server) => server['os-extended-volumes:volumes_attached'] ?? [];
const resizable = inStates('ACTIVE', 'SHUTOFF');
const isResized = inStates('VERIFY_RESIZE');
function movableLive(server: Server): true | string {
  if (volumesOf(server).length > 0) return 'It has volumes: such are moved switched off only. Migrate it, or detach them first.';
  return inStates('ACTIVE', 'PAUSED')(server);
}

const named = (verb: string, ...options: Parameters<typeof openstack>[1] & object) => (server: Server) => openstack(verb, options, server.name);

export const SERVER_ACTIONS: ServerAction[] = [
  { id: 'start', label: 'Start', can: inStates('SHUTOFF'), command: named('server start'), body: { 'os-start': null } },
  { id: 'stop', label: 'Stop', can: inStates('ACTIVE', 'ERROR'), command: named('server stop'), body: { 'os-stop': null } },
  { id: 'reboot', label: 'Reboot', can: inStates('ACTIVE'), command: named('server reboot', ['soft', true]), body: { reboot: { type: 'SOFT' } } },
  { id: 'reboot-hard', label: 'Reboot (power cycle)', can: inStates('ACTIVE', 'SHUTOFF', 'PAUSED', 'SUSPENDED', 'ERROR'), command: named('server reboot', ['hard', true]), body: { reboot: { type: 'HARD' } }, danger: 'What the guest has not written to its disk is lost.' },
  { id: 'pause', label: 'Pause', can: inStates('ACTIVE'), command: named('server pause'), body: { pause: null } },
  { id: 'unpause', label: 'Unpause', can: inStates('PAUSED'), command: named('server unpause'), body: { unpause: null } },
  { id: 'suspend', label: 'Suspend', can: inStates('ACTIVE'), command: named('server suspend'), body: { suspend: null } },
  { id: 'resume', label: 'Resume', can: inStates('SUSPENDED'), command: named('server resume'), body: { resume: null } },
  { id: 'resize', label: 'Resize', opens: true, can: resizable, command: named('server resize', ['flavor', 'FLAVOR']) },
  { id: 'confirm-resize', label: 'Confirm the new size', can: isResized, command: named('server resize confirm'), body: { confirmResize: null }, danger: 'It cannot go back to its former size after that.' },
  { id: 'revert-resize', label: 'Go back to the former size', can: isResized, command: named('server resize revert'), body: { revertResize: null }, danger: 'Its disk is again as it was before the resize.' },
  { id: 'attach-volume', label: 'Attach a volume', opens: true, needs: 'volumes', can: attachable, command: (server) => openstack('server add volume', [], server.name, 'VOLUME') },
  {
    id: 'detach-volume', label: 'Detach a volume', opens: true, needs: 'volumes', command: (server) => openstack('server remove volume', [], server.name, 'VOLUME'),
    can: (server) => (volumesOf(server).length > 0 ? attachable(server) : 'No volume is attached to it.'),
  },
  { id: 'live-migrate', label: 'Move while it runs', opens: true, needs: 'admin', can: movableLive, command: named('server migrate', ['live-migration', true]) },
  { id: 'migrate', label: 'Move switched off', opens: true, needs: 'admin', can: resizable, command: named('server migrate') },
  { id: 'lock', label: 'Lock', can: (server) => !server.locked || 'It is locked already.', command: named('server lock'), body: { lock: null } },
  { id: 'unlock', label: 'Unlock', can: (server) => server.locked || 'It is not locked.', command: named('server unlock'), body: { unlock: null } },
  { id: 'delete', label: 'Delete', can: (server) => !server.locked || 'It is locked. Unlock it first.', command: named('server delete'), danger: 'Its disk and the ports that were made for it go with it. This cannot be undone.' },
];

/** For several at once: possible if it is for each; else the first reason, and whose it is. */
export function canAll<T>(action: Action<T>, things: readonly T[], name: (thing: T) => string): true | string {
  if (things.length === 0) return 'Select something first.';
  if (action.opens && things.length > 1) return 'Select only one.';
  for (const thing of things) {
    const can = action.can(thing);
    if (can !== true) return things.length === 1 ? can : `${name(thing)}: ${can}`;
  }
  return true;
}
