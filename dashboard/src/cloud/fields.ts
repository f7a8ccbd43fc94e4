// What a form asks, what stands in it, and what is wrong with that.

export interface Choice {
  value: string;
  label: string;
  description?: string;
}
export interface Field {
  name: string;
  label: string;
  kind?: 'text' | 'number' | 'password' | 'textarea' | 'select' | 'many' | 'check';
  choices?: Choice[];
  initial?: string | string[] | boolean;
  optional?: boolean;
  hint?: string;
  placeholder?: string;
  /** What is wrong with a value. */
  wrong?: (value: string, all: Values) => string | undefined;
  /** Whether it is asked at all. */
  asked?: (all: Values) => boolean;
}
export type Values = Record<string, string | string[] | boolean>;

export const text = (values: Values, name: string) => (typeof values[name] === 'string' ? (values[name] as string).trim() : '');
export const many = (values: Values, name: string) => (Array.isArray(values[name]) ? (values[name] as string[]) : []);
export const flag = (values: Values, name: string) => values[name] === true;

export const initialValues = (fields: Field[]): Values =>
  Object.fromEntries(fields.map((field) => [field.name, field.initial ?? (field.kind === 'many' ? [] : field.kind === 'check' ? false : '')]));

/**
 * What a form shows: what was typed, and else what is proposed now. A proposal may come after the form: the list it is
 * taken from was still on its way.
 */
export const shownValues = (fields: Field[], typed: Values): Values => ({ ...initialValues(fields), ...typed });

/** What was typed so far, when `shown` has become `next`. */
export const typedValues = (typed: Values, shown: Values, next: Values): Values =>
  ({ ...typed, ...Object.fromEntries(Object.entries(next).filter(([name, value]) => value !== shown[name])) });

export function wrongs(fields: Field[], values: Values): Record<string, string> {
  const found: Record<string, string> = {};
  for (const field of fields) {
    if (field.asked && !field.asked(values)) continue;
    const value = values[field.name];
    if (typeof value === 'boolean') continue;
    if (value === undefined || value.length === 0) {
      if (!field.optional && field.kind !== 'many') found[field.name] = `${field.label} is needed.`;
      continue;
    }
    const why = typeof value === 'string' ? field.wrong?.(value.trim(), values) : undefined;
    if (why) found[field.name] = why;
  }
  return found;
}
