import { describe, expect, it } from 'vitest';
import { openstack, quote } from './cli';

describe('the command beside a form', () => {
  it('survives a shell whatever stands in it', () => {
    expect(quote('web-1')).toBe('web-1');
    expect(quote('my server')).toBe("'my server'");
    expect(quote("it's; rm -rf /")).toBe(`'it'\\''s; rm -rf /'`);
    expect(quote('$(x)')).toBe("'$(x)'");
    expect(quote('')).toBe("''");
  });
  it('says only what was chosen', () => {
    const options: Parameters<typeof openstack>[1] = [
      ['flavor', 'm1.nano'], ['key-name', ''], ['wait', true], ['enable', false], ['security-group', ['a', 'b c']], ['min', 2],
    ];
    expect(openstack('server create', options, 'web')).toBe(
      "openstack server create --flavor m1.nano --wait --security-group a --security-group 'b c' --min 2 web",
    );
    expect(openstack('network create', [], '')).toBe('openstack network create NAME');
  });
});
