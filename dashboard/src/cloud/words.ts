// Sizes, times and states as people read them.

export function mib(value: number): string {
  return value >= 1024 && value % 512 === 0 ? `${value / 1024} GiB` : `${value} MiB`;
}

export function bytes(value: number | null | undefined): string {
  if (value == null) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let at = 0;
  let shown = value;
  while (shown >= 1024 && at < units.length - 1) {
    shown /= 1024;
    at += 1;
  }
  return `${at === 0 ? shown : shown.toFixed(shown < 10 ? 1 : 0)} ${units[at]}`;
}

/** "3 min ago"; a time without a zone is UTC, as OpenStack means it. */
export function ago(text: string, now = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - time(text)) / 1000));
  if (seconds < 60) return 'just now';
  const steps: [number, string][] = [[60, 'min'], [24, 'h'], [365, 'days'], [Infinity, 'years']];
  let value = seconds / 60;
  for (const [size, word] of steps) {
    if (value < size) return `${Math.floor(value)} ${word} ago`;
    value /= size;
  }
  return text;
}

export function time(text: string): number {
  return Date.parse(/Z$|[+-]\d\d:?\d\d$/.test(text) ? text : `${text}Z`);
}

export const sentence = (text: string) => {
  const words = text.toLowerCase().replaceAll('_', ' ').replaceAll('-', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
};

export type StatusType = 'success' | 'error' | 'warning' | 'in-progress' | 'pending' | 'stopped' | 'info';

const KINDS: Record<string, StatusType> = {
  active: 'success', available: 'success', up: 'success', enabled: 'success', saved: 'success',
  error: 'error', down: 'warning', killed: 'error', shutoff: 'stopped', paused: 'pending', suspended: 'pending', queued: 'pending', disabled: 'stopped', deactivated: 'stopped',
  build: 'in-progress', reboot: 'in-progress', hard_reboot: 'in-progress', rebuild: 'in-progress', importing: 'in-progress', saving: 'in-progress', uploading: 'in-progress',
  deleted: 'stopped', soft_deleted: 'stopped',
  resize: 'in-progress', revert_resize: 'in-progress', migrating: 'in-progress', verify_resize: 'pending',
  'in-use': 'success', reserved: 'in-progress', creating: 'in-progress', downloading: 'in-progress', attaching: 'in-progress', detaching: 'in-progress', extending: 'in-progress', retyping: 'in-progress',
  deleting: 'in-progress', 'backing-up': 'in-progress', 'restoring-backup': 'in-progress', restoring: 'in-progress', maintenance: 'pending', 'awaiting-transfer': 'pending',
};

/** `CREATE_IN_PROGRESS` and its like: what stacks and their resources say. */
function stackKind(status: string): StatusType | undefined {
  if (status.endsWith('_in_progress')) return 'in-progress';
  if (status.endsWith('_failed')) return 'error';
  if (status === 'suspend_complete' || status === 'delete_complete') return 'stopped';
  return status.endsWith('_complete') ? 'success' : undefined;
}

/** The icon of a state; the word always stands beside it. */
export function statusType(status: string): StatusType {
  const word = status.toLowerCase();
  // Volumes say what went wrong, such as `error_extending`.
  return KINDS[word] ?? stackKind(word) ?? (word.startsWith('error_') ? 'error' : 'info');
}
