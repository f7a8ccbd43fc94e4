import { expect, it } from 'vitest';
import { ago, bytes, mib, sentence, statusType } from './words';

it('sizes and times are short', () => {
  expect([mib(512), mib(1024), mib(1536), mib(1000)]).toEqual(['512 MiB', '1 GiB', '1.5 GiB', '1000 MiB']);
  expect([bytes(0), bytes(1536), bytes(53_687_091_200), bytes(null)]).toEqual(['0 B', '1.5 KiB', '50 GiB', '–']);
  const now = Date.parse('2026-01-02T03:00:00Z');
  expect(ago('2026-01-02T02:59:30', now)).toBe('just now');
  expect(ago('2026-01-02T02:50:00Z', now)).toBe('10 min ago');
  expect(ago('2025-12-31T03:00:00+00:00', now)).toBe('2 days ago');
  expect(sentence('powering-off')).toBe('Powering off');
  expect(statusType('BUILD')).toBe('in-progress');
  expect(['in-use', 'error_extending', 'VERIFY_RESIZE', 'backing-up'].map(statusType)).toEqual(['success', 'error', 'pending', 'in-progress']);
  expect(['CREATE_IN_PROGRESS', 'UPDATE_FAILED', 'CREATE_COMPLETE', 'SUSPEND_COMPLETE', 'X'].map(statusType)).toEqual(['in-progress', 'error', 'success', 'stopped', 'info']);
});
