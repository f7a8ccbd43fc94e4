import { expect, it } from 'vitest';
import { isAddress, wrongCidr, wrongPort } from './check';

it('addresses, ranges and ports are checked before they are sent', () => {
  expect(['10.0.0.1', 'fd00::1', '::'].map(isAddress)).toEqual([true, true, true]);
  expect(['10.0.0', '10.0.0.256', 'x', '1:::2'].map(isAddress)).toEqual([false, false, false, false]);
  expect(wrongCidr('10.20.0.0/24')).toBeUndefined();
  expect(wrongCidr('fd00::/64')).toBeUndefined();
  for (const text of ['10.20.0.0', '10.20.0.0/33', '10.20.0.0/24/1', '/24']) expect(wrongCidr(text), text).toBeDefined();
  expect(wrongPort('22')).toBeUndefined();
  expect(wrongPort('8000-8080')).toBeUndefined();
  for (const text of ['0', '70000', '80-22', 'ssh', '1-2-3']) expect(wrongPort(text), text).toBeDefined();
});
