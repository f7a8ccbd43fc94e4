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
import { shownValues, typedValues, wrongs, type Field, type Values } from '../cloud/fields';
import { Command } from './small';
import { useNews, words } from './news';

export { flag, initialValues, many, text, wrongs, type Choice, type Field, type Values } from '../cloud/fields';

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
  /** What is asked; it may hang on what was typed so far. */
  fields: Field[] | ((typed: Values) => Field[]);
  button: string;
  command: (values: Values) => string;
  submit: (values: Values) => Promise<unknown>;
  done: string | ((values: Values) => string);
  close: () => void;
}

/** A dialog that makes or changes something. It stays open with everything in it when that fails. */
export function FormDialog({ title, fields: asked, button, command, submit, done, close }: FormProps) {
  const [typed, setTyped] = useState<Values>({});
  const fields = typeof asked === 'function' ? asked(typed) : asked;
  const values = shownValues(fields, typed);
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
          <Fields fields={fields} values={values} wrong={tried ? wrong : {}} set={(next) => setTyped(typedValues(typed, values, next))} />
          <Command text={command(values)} />
        </SpaceBetween>
        <input type="submit" hidden />
      </form>
    </Modal>
  );
}
