import { describe, expect, it } from 'vitest';
import { faultText } from './api';

describe('the words of a refusal', () => {
  it('are found in every service\'s form', () => {
    expect(faultText('{"itemNotFound":{"code":404,"message":"no"}}', 404)).toBe('no');
    expect(faultText('{"NeutronError":{"type":"InUse","message":"no","detail":""}}', 409)).toBe('no');
    expect(faultText('{"errors":[{"status":409,"detail":"no"}]}', 409)).toBe('no');
    expect(faultText('{"error":{"code":401,"title":"Unauthorized","message":"no"}}', 401)).toBe('no');
  });
  it('are never a page or nothing', () => {
    expect(faultText('<html><h1>502</h1> bad</html>', 502)).toBe('502 bad');
    expect(faultText('', 500)).toContain('500');
    expect(faultText('{}', 500)).toContain('500');
  });
});
