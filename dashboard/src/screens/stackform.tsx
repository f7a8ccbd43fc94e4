// Making a stack, or updating one: the template, what it asks for, and what it would do, before it does it.
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Container from '@cloudscape-design/components/container';
import FileUpload from '@cloudscape-design/components/file-upload';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import Wizard from '@cloudscape-design/components/wizard';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useParams } from 'react-router';
import { stringify } from 'yaml';
import { Fault } from '../cloud/api';
import { openstack } from '../cloud/cli';
import { shownValues, text, typedValues, wrongs, type Field, type Values } from '../cloud/fields';
import type { Stack } from '../cloud/kinds';
import { useAsk, useHere, useThings } from '../cloud/session';
import { chosen, fieldsOf, FIRST_TEMPLATE, placeOf, type Changes, type Offers, type Parameter } from '../cloud/stacks';
import { Editor, type Mistake } from '../parts/editor';
import { Fields } from '../parts/form';
import { useNews, words } from '../parts/news';
import { Command, useGo } from '../parts/small';
import { Diff, findStack, stackPath } from '../parts/stacks';

/** Orchestration takes no more. */
const MOST_BYTES = 512 * 1024;

export const CreateStack = () => <StackForm begin={FIRST_TEMPLATE} />;

export function UpdateStack() {
  const { id = '' } = useParams();
  const { project } = useHere();
  const ask = useAsk();
  const query = useQuery({
    queryKey: [project.id, 'stack-to-update', id],
    queryFn: async () => {
      const stack = await findStack(ask, project.id, id);
      return { stack, template: await ask<unknown>('orchestration', `${stackPath(project.id, stack)}/template`) };
    },
    staleTime: Infinity,
    gcTime: 0,
  });
  if (query.error) return <Alert type="error" header="The stack cannot be updated">{words(query.error)}</Alert>;
  if (!query.data) return <StatusIndicator type="loading">Loading the template</StatusIndicator>;
  return <StackForm stack={query.data.stack} begin={stringify(query.data.template, { lineWidth: 0 })} />;
}

function useOffers(): Offers {
  const names = <T,>(things: T[], name: (thing: T) => string | null, id?: (thing: T) => string) => things.map((thing) => ({ value: (id ?? name)(thing) ?? '', label: name(thing) || id?.(thing) || '' }));
  const networks = names(useThings('networks').things, (network) => network.name, (network) => network.id);
  return {
    'nova.flavor': names(useThings('flavors').things, (flavor) => flavor.name),
    'nova.keypair': names(useThings('keypairs').things, (pair) => pair.keypair.name),
    'glance.image': names(useThings('images').things, (image) => image.name, (image) => image.id),
    'neutron.network': networks,
    'neutron.subnet': names(useThings('subnets').things, (subnet) => subnet.name || subnet.cidr, (subnet) => subnet.id),
  };
}

/** The values that the stack has now, as the form's beginning. */
function withValues(parameters: Record<string, Parameter>, stack: Stack | undefined): Record<string, Parameter> {
  const now = stack?.parameters ?? {};
  return Object.fromEntries(Object.entries(parameters).map(([name, parameter]) => [name, name in now && parameter.NoEcho !== 'true' ? { ...parameter, Value: now[name] } : parameter]));
}

function StackForm({ stack, begin }: { stack?: Stack; begin: string }) {
  const { project } = useHere();
  const ask = useAsk();
  const go = useGo();
  const news = useNews();
  const offers = useOffers();
  const [template, setTemplate] = useState(begin);
  const [files, setFiles] = useState<File[]>([]);
  const [parameters, setParameters] = useState<Record<string, Parameter>>({});
  const [typed, setTyped] = useState<Values>({});
  const [step, setStep] = useState(0);
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<unknown>();
  const [mistake, setMistake] = useState<Mistake>();
  const [changes, setChanges] = useState<Changes>();

  const nameField: Field[] = stack ? [] : [{ name: '/name', label: 'Stack name', placeholder: 'web', wrong: (value) => (/^[A-Za-z][\w.-]{0,254}$/.test(value) ? undefined : 'Letters, digits, "_", "-" and ".", a letter first.') }];
  // What is hidden stays as it is unless something is typed there.
  const asked = fieldsOf(parameters, offers).map((field) => (stack && parameters[field.name]?.NoEcho === 'true' ? { ...field, optional: true, hint: `${field.hint ?? ''} Stays as it is unless something is typed here.`.trim() } : field));
  const options: Field[] = [
    { name: '/rollback', label: 'When it fails, go back', kind: 'check', initial: stack ? stack.disable_rollback === false : false, hint: stack ? 'To what it was before the update.' : 'Delete what was made.' },
    { name: '/timeout', label: 'Give up after, in minutes', kind: 'number', optional: true, initial: stack?.timeout_mins ? String(stack.timeout_mins) : '', wrong: (value) => (/^[1-9]\d{0,5}$/.test(value) ? undefined : 'A whole number.') },
  ];
  const fields = [...nameField, ...asked, ...options];
  const values = shownValues(fields, typed);
  const wrong = wrongs(fields, values);
  const set = (next: Values) => setTyped(typedValues(typed, values, next));
  const given = chosen(parameters, values);
  const name = stack?.stack_name ?? text(values, '/name');
  const timeout = text(values, '/timeout');
  const command = openstack(
    stack ? 'stack update' : 'stack create',
    [['existing', !!stack], ['template', 'FILE'], ...Object.entries(given).map(([key, value]): [string, string] => ['parameter', `${key}=${parameters[key]?.NoEcho === 'true' ? 'SECRET' : value}`]), ['timeout', timeout], [stack ? 'rollback' : 'enable-rollback', values['/rollback'] === true && (stack ? 'enabled' : true)]],
    name,
  );

  const attempt = async (what: () => Promise<void>) => {
    setBusy(true);
    setFault(undefined);
    setMistake(undefined);
    try {
      await what();
    } catch (why) {
      setFault(why);
      const place = why instanceof Fault ? placeOf(why.message) : undefined;
      if (place) setMistake({ ...place, message: words(why) });
    } finally {
      setBusy(false);
    }
  };
  const contents = async () => Object.fromEntries(await Promise.all(files.map(async (file) => [file.name, await file.text()] as const)));
  const body = async () => ({
    ...(!stack && { stack_name: name }),
    template, files: await contents(), parameters: given,
    ...(stack && { clear_parameters: Object.keys(stack.parameters ?? {}).filter((key) => !key.startsWith('OS::') && !(key in parameters)) }),
    disable_rollback: values['/rollback'] !== true,
    ...(timeout && { timeout_mins: Number(timeout) }),
  });
  const validate = async () => {
    if (new Blob([template]).size > MOST_BYTES) throw new Fault('A template has at most 512 KiB.', 413);
    const answer = await ask<{ Parameters: Record<string, Parameter> }>('orchestration', `/v1/${project.id}/validate`, { method: 'POST', body: { template, files: await contents() } });
    setParameters(withValues(answer.Parameters, stack));
  };
  const preview = async () => {
    if (!stack) return void (await ask('orchestration', `/v1/${project.id}/stacks/preview`, { method: 'POST', body: await body() }));
    const answer = await ask<{ resource_changes: Changes }>('orchestration', `${stackPath(project.id, stack)}/preview`, { method: 'PATCH', body: await body() });
    setChanges(answer.resource_changes);
  };
  const move = (to: number) => {
    setTried(true);
    if (to <= step) return setStep(to);
    void attempt(async () => {
      // Whoever skips a step is stopped where something is missing.
      let at = step;
      if (at === 0) {
        await validate();
        at = 1;
        setStep(1);
        setTried(false);
        if (to === 1) return;
      }
      if (Object.keys(wrong).length > 0) return setTried(true);
      await preview();
      setStep(2);
    });
  };
  const apply = () =>
    attempt(async () => {
      if (stack) {
        await ask('orchestration', stackPath(project.id, stack), { method: 'PATCH', body: await body() });
        news.tell('success', `${name} is being updated`);
        return go(`/stacks/${stack.id}?tab=resources`);
      }
      const made = await ask<{ stack: { id: string } }>('orchestration', `/v1/${project.id}/stacks`, { method: 'POST', body: await body() });
      news.tell('success', `${name} is being created`);
      go(`/stacks/${made.stack.id}?tab=resources`);
    });
  const load = async (file: File | undefined) => {
    if (!file) return;
    if (file.size > MOST_BYTES) return setFault(new Fault('A template has at most 512 KiB.', 413));
    setFault(undefined);
    setTemplate(await file.text());
  };
  const refused = fault !== undefined && (
    <Alert type="error" header={mistake ? `The template is not right: line ${mistake.line}, column ${mistake.column}` : 'That did not work'}>
      {words(fault)} {fault instanceof Fault && fault.requestId && <Box variant="small">Request {fault.requestId}</Box>}
    </Alert>
  );
  const templateStep = (
    <SpaceBetween size="m">
      {refused}
      <Container header={<Header variant="h2" actions={<OpenFile label="Open a file" open={(file) => void load(file)} />}>Template</Header>}>
        <Editor label="Template" value={template} set={setTemplate} mistake={mistake} />
      </Container>
      <Container header={<Header variant="h2" description="Templates of its own types, scripts: by the names by which the template calls them.">Files that it refers to</Header>}>
        <FormField label="Files">
          <FileUpload
            multiple
            value={files}
            onChange={({ detail }) => setFiles(detail.value.filter((file) => file.size <= MOST_BYTES).slice(0, 100))}
            constraintText="Up to 512 KiB each"
            showFileSize
            i18nStrings={{ uploadButtonText: () => 'Add files', dropzoneText: () => 'Drop the files here', removeFileAriaLabel: (at) => `Remove file ${at + 1}`, limitShowFewer: 'Fewer', limitShowMore: 'More', errorIconAriaLabel: 'Error' }}
          />
        </FormField>
      </Container>
    </SpaceBetween>
  );
  const form = (fields: Field[]) => <Fields fields={fields} values={values} wrong={tried ? wrong : {}} set={set} />;
  const steps = [
    { title: 'Template', content: templateStep },
    {
      title: 'Parameters',
      content: (
        <SpaceBetween size="m">
          {refused}
          {nameField.length > 0 && <Container header={<Header variant="h2">Stack</Header>}>{form(nameField)}</Container>}
          <Container header={<Header variant="h2">Parameters</Header>}>{asked.length > 0 ? form(asked) : <Box>The template asks for nothing.</Box>}</Container>
          <Container header={<Header variant="h2">Options</Header>}>{form(options)}</Container>
        </SpaceBetween>
      ),
    },
    {
      title: stack ? 'What it would do' : 'Review',
      content: (
        <SpaceBetween size="m">
          {refused}
          {stack && changes && <Container header={<Header variant="h2" description="Nothing is changed yet.">What the update would do</Header>}><Diff changes={changes} /></Container>}
          {!stack && <Alert type="success">The template holds, and so do its parameters.</Alert>}
          <Container><Command text={stack ? `${command.replace('stack update', 'stack update --dry-run')}\n${command}` : command} /></Container>
        </SpaceBetween>
      ),
    },
  ];
  return (
    <Wizard
      activeStepIndex={step}
      isLoadingNextStep={busy}
      onNavigate={({ detail }) => move(detail.requestedStepIndex)}
      onCancel={() => go(stack ? `/stacks/${stack.id}` : '/stacks')}
      onSubmit={() => void apply()}
      i18nStrings={{ stepNumberLabel: (step) => `Step ${step}`, collapsedStepsLabel: (step, of) => `Step ${step} of ${of}`, skipToButtonLabel: (step) => `Skip to ${step.title}`, navigationAriaLabel: 'Steps', cancelButton: 'Cancel', previousButton: 'Back', nextButton: 'Next', optional: 'optional' }}
      submitButtonText={stack ? 'Apply the update' : 'Create'}
      steps={steps}
    />
  );
}

function OpenFile({ label, open }: { label: string; open: (file: File | undefined) => void }) {
  const choose = () => {
    const input = document.createElement('input');
    input.type = 'file';
    input.accept = '.yaml,.yml,.json,.template';
    input.onchange = () => open(input.files?.[0]);
    input.click();
  };
  return <Button iconName="upload" onClick={choose}>{label}</Button>;
}
