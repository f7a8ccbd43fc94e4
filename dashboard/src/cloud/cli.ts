// The same thing as an `openstack` command: what the page does, a script can do.

/** A word as a POSIX shell takes it. */
export function quote(word: string): string {
  if (word === '') return "''";
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

export type Option = [name: string, value: string | number | boolean | undefined | null | string[]];

/** `openstack server create --flavor m1.nano web`. Options without a value are left out; `true` is a flag; a list repeats. */
export function openstack(verb: string, options: Option[] = [], ...names: (string | undefined)[]): string {
  const words = ['openstack', ...verb.split(' ')];
  for (const [name, value] of options) {
    if (value === undefined || value === null || value === '' || value === false) continue;
    if (value === true) words.push(`--${name}`);
    else for (const one of Array.isArray(value) ? value : [value]) words.push(`--${name}`, quote(String(one)));
  }
  for (const name of names) words.push(quote(name || 'NAME'));
  return words.join(' ');
}
