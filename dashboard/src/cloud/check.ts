// What people type about networks.

export function isAddress(text: string): boolean {
  if (text.includes(':')) return /^[0-9a-fA-F:.]+$/.test(text) && (text.match(/::/g)?.length ?? 0) <= 1 && !text.includes(':::') && text.split(':').length <= 8 + Number(text.includes('::'));
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255);
}

/** What is wrong with a range like 10.20.0.0/24. */
export function wrongCidr(text: string): string | undefined {
  const [address = '', bits, more] = text.split('/');
  const most = address.includes(':') ? 128 : 32;
  if (more !== undefined || bits === undefined || !/^\d{1,3}$/.test(bits) || Number(bits) > most || !isAddress(address)) return 'A range looks like 10.20.0.0/24.';
  return undefined;
}

export function wrongPort(text: string): string | undefined {
  const [low, high = low, more] = text.split('-').map((part) => part.trim());
  const good = (part?: string) => part !== undefined && /^\d{1,5}$/.test(part) && Number(part) >= 1 && Number(part) <= 65535;
  if (more !== undefined || !good(low) || !good(high) || Number(low) > Number(high)) return 'A port like 22, or a range like 8000-8080.';
  return undefined;
}
