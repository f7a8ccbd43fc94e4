// A form from its fields: what is asked, what is wrong with it, and the same thing as a command.
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Checkbox from '@cloudscape-design/components/checkbox';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import Modal from '@cloudscape-design/components/modal';
import Multiselect from '@cloudscape-design/components/multiselect';
import Select from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Textarea from '@cloudscape-design/components/textarea';
import { useState, type FormEvent } from 'react';
import { Fault } from '../cloud/api';
import { Command } from './small';
import { useNews, words } from './news';

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

export function Fields({ fields, values, wrong, set }: { fields: Field[]; values: Values; wrong: Record<string, string>; set: (values: Values) => void }) {
  const asked = fields.filter((field) => !field.asked || field.asked(values));
  return (
    <SpaceBetween size="m">
      {asked.map((field, at) => (
        <One key={field.name} field={field} value={values[field.name] ?? ''} wrong={wrong[field.name]} first={at === 0} set={(value) => set({ ...values, [field.name]: value })} />
      ))}
    </SpaceBetween>
  );
}

function One({ field, value, wrong, first, set }: { field: Field; value: string | string[] | boolean; wrong?: string; first: boolean; set: (value: string | string[] | boolean) => void }) {
  const choices = (field.choices ?? []).map(({ value, label, description }) => ({ value, label, description }));
  if (field.kind === 'check') {
    return <Checkbox checked={value === true} description={field.hint} onChange={({ detail }) => set(detail.checked)}>{field.label}</Checkbox>;
  }
  const label = field.optional ? <span>{field.label} <i>– optional</i></span> : field.label;
  return (
    <FormField label={label} description={field.hint} errorText={wrong} stretch>
      {field.kind === 'select' ? (
        <Select selectedOption={choices.find((choice) => choice.value === value) ?? null} options={choices} placeholder={field.placeholder ?? 'Choose'} empty="There is nothing to choose from" filteringType={choices.length > 8 ? 'auto' : 'none'} expandToViewport onChange={({ detail }) => set(detail.selectedOption.value ?? '')} />
      ) : field.kind === 'many' ? (
        <Multiselect selectedOptions={choices.filter((choice) => (value as string[]).includes(choice.value))} options={choices} placeholder={field.placeholder ?? 'Choose'} empty="There is nothing to choose from" expandToViewport onChange={({ detail }) => set(detail.selectedOptions.map((choice) => choice.value ?? ''))} />
      ) : field.kind === 'textarea' ? (
        <Textarea value={value as string} rows={5} placeholder={field.placeholder} spellcheck={false} onChange={({ detail }) => set(detail.value)} />
      ) : (
        <Input value={value as string} type={field.kind === 'password' ? 'password' : field.kind === 'number' ? 'number' : 'text'} inputMode={field.kind === 'number' ? 'numeric' : undefined} autoFocus={first} autoComplete={false} spellcheck={false} placeholder={field.placeholder} onChange={({ detail }) => set(detail.value)} />
      )}
    </FormField>
  );
}

interface FormProps {
  title: string;
  fields: Field[];
  button: string;
  command: (values: Values) => string;
  submit: (values: Values) => Promise<unknown>;
  done: string | ((values: Values) => string);
  close: () => void;
}

/** A dialog that makes or changes something. It stays open with everything in it when that fails. */
export function FormDialog({ title, fields, button, command, submit, done, close }: FormProps) {
  const [values, setValues] = useState(() => initialValues(fields));
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<unknown>();
  const news = useNews();
  const wrong = wrongs(fields, values);
  const run = async () => {
    setTried(true);
    if (Object.keys(wrong).length > 0 || busy) return;
    setBusy(true);
    setFault(undefined);
    try {
      await submit(values);
      news.tell('success', typeof done === 'string' ? done : done(values));
      close();
    } catch (why) {
      setFault(why);
    } finally {
      setBusy(false);
    }
  };
  const footer = (
    <Box float="right">
      <SpaceBetween direction="horizontal" size="xs">
        <Button variant="link" onClick={close}>Cancel</Button>
        <Button variant="primary" loading={busy} onClick={run}>{button}</Button>
      </SpaceBetween>
    </Box>
  );
  return (
    <Modal visible header={title} footer={footer} onDismiss={close} closeAriaLabel="Close">
      <form onSubmit={(event: FormEvent) => { event.preventDefault(); void run(); }}>
        <SpaceBetween size="l">
          {fault !== undefined && (
            <Alert type="error" header="That did not work">
              {words(fault)} {fault instanceof Fault && fault.requestId && <Box variant="small">Request {fault.requestId}</Box>}
            </Alert>
          )}
          <Fields fields={fields} values={values} wrong={tried ? wrong : {}} set={setValues} />
          <Command text={command(values)} />
        </SpaceBetween>
        <input type="submit" hidden />
      </form>
    </Modal>
  );
}
