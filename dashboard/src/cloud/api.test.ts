import { afterEach, describe, expect, it, vi } from 'vitest';
import { ask, faultText, signedIn, watchActivity } from './api';

describe('the words of a refusal', () => {
  it('are found in every service\'s form', () => {
    expect(faultText('{"itemNotFound":{"code":404,"message":"no"}}', 404)).toBe('no');
    expect(faultText('{"NeutronError":{"type":"InUse","message":"no","detail":""}}', 409)).toBe('no');
    expect(faultText('{"errors":[{"status":409,"detail":"no"}]}', 409)).toBe('no');
    expect(faultText('{"error":{"code":401,"title":"Unauthorized","message":"no"}}', 401)).toBe('no');
    expect(faultText('{"code":400,"explanation":"general","error":{"message":"no","traceback":null}}', 400)).toBe('no');
  });
  it('are never a page or nothing', () => {
    expect(faultText('<html><h1>502</h1> bad</html>', 502)).toBe('502 bad');
    expect(faultText('', 500)).toContain('500');
    expect(faultText('{}', 500)).toContain('500');
  });
});

describe('a session that has ended', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('is told of once, and not by what was asked before somebody signed in again', async () => {
    const answers: (() => void)[] = [];
    vi.stubGlobal('addEventListener', () => {});
    vi.stubGlobal('fetch', () => new Promise<Response>((done) => answers.push(() => done(new Response('{}', { status: 401 })))));
    const ended = vi.fn();
    watchActivity(ended);
    const early = ask('compute', '/v2.1/servers');
    const late = ask('network', '/v2.0/ports');
    answers[0]!();
    await expect(early).rejects.toThrow();
    expect(ended).toHaveBeenCalledTimes(1);
    signedIn();
    answers[1]!();
    await expect(late).rejects.toThrow();
    expect(ended).toHaveBeenCalledTimes(1);
  });
});
