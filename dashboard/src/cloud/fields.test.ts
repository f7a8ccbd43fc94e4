import { expect, it } from 'vitest';
import { shownValues, typedValues, wrongs, type Field } from './fields';

const fields = (network: string): Field[] => [{ name: 'name', label: 'Name' }, { name: 'network', label: 'Network', optional: true, initial: network }, { name: 'up', label: 'Up', kind: 'check', initial: true }];

it('a proposal that comes after the form stands in it, unless something was typed there', () => {
  const early = shownValues(fields(''), {});
  const typed = typedValues({}, early, { ...early, name: 'edge' });
  expect(shownValues(fields('public'), typed)).toEqual({ name: 'edge', network: 'public', up: true });
  const proposed = shownValues(fields('public'), typed);
  const cleared = typedValues(typed, proposed, { ...proposed, network: '' });
  expect(shownValues(fields('public'), cleared)).toEqual({ name: 'edge', network: '', up: true });
});

it('what is needed and not there is said', () => {
  expect(wrongs(fields(''), shownValues(fields(''), {}))).toEqual({ name: 'Name is needed.' });
});
