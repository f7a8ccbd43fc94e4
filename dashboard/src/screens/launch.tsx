// Launching: what it starts from, size with the quota left and whether it fits, network, access, and everything once more as a command.
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Cards from '@cloudscape-design/components/cards';
import Container from '@cloudscape-design/components/container';
import Header from '@cloudscape-design/components/header';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import Wizard from '@cloudscape-design/components/wizard';
import { useQueries } from '@tanstack/react-query';
import { useState } from 'react';
import { Fault, own } from '../cloud/api';
import { openstack } from '../cloud/cli';
import { COMPUTE, type Flavor } from '../cloud/kinds';
import { bootBody, bootOptions, shortOf, type Boot, type Fit } from '../cloud/launch';
import { useAsk, useHere, useQuotas, useThings } from '../cloud/session';
import { called, leastSize, leftWords, shortOfVolumes, wrongGib } from '../cloud/volumes';
import { mib } from '../cloud/words';
import { Fields, flag, initialValues, many, text, wrongs, type Field, type Values } from '../parts/form';
import { useNews, words } from '../parts/news';
import { Command, useGo } from '../parts/small';
import { useHasVolumes } from '../parts/volumes';

export function Launch() {
  const go = useGo();
  const ask = useAsk();
  const news = useNews();
  const { project } = useHere();
  const images = useThings('images').things.filter((image) => image.status === 'active');
  const flavors = [...useThings('flavors').things].sort((a, b) => a.ram - b.ram || a.vcpus - b.vcpus);
  const networks = useThings('networks').things.filter((network) => !network['router:external'] && network.subnets.length > 0);
  const groups = useThings('security-groups').things.filter((group) => group.project_id === project.id);
  const pairs = useThings('keypairs').things;
  const hasVolumes = useHasVolumes();
  const disks = useThings('volumes', hasVolumes).things.filter((volume) => volume.status === 'available' && volume.bootable === 'true');
  const quotas = useQuotas().data;
  const [step, setStep] = useState(0);
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<unknown>();

  const onNewVolume = (values: Values) => values.from === 'new-volume';
  const leastOf = (id: string) => { const image = images.find((one) => one.id === id); return leastSize(image && { kind: 'image', image }); };
  const details: Field[] = [
    { name: 'name', label: 'Name', placeholder: 'web-1', wrong: (value) => (value.length > 255 ? 'At most 255 characters.' : undefined) },
    { name: 'count', label: 'How many', kind: 'number', initial: '1', wrong: (value) => (/^[1-9]\d?$/.test(value) ? undefined : 'A number from 1 to 99.') },
    {
      name: 'from', label: 'Starts from', kind: 'select', initial: 'image', asked: () => hasVolumes,
      choices: [{ value: 'image', label: 'An image', description: 'Its disk is on its host, and goes with it' }, { value: 'new-volume', label: 'An image, copied to a new volume' }, { value: 'volume', label: 'A volume that is there' }],
    },
    { name: 'image', label: 'Image', kind: 'select', asked: (values) => values.from !== 'volume', choices: images.map((image) => ({ value: image.id, label: image.name ?? image.id, description: `${image.disk_format ?? ''} · ${image.visibility}` })) },
    { name: 'volume', label: 'Volume', kind: 'select', asked: (values) => values.from === 'volume', choices: disks.map((volume) => ({ value: volume.id, label: called(volume), description: `${volume.size} GiB` })), wrong: (_value, all) => (Number(text(all, 'count')) > 1 ? 'One volume is the disk of one instance.' : undefined) },
    {
      name: 'gib', label: 'Size of the volume, in GiB', kind: 'number', asked: onNewVolume, initial: '', hint: leftWords(quotas), placeholder: '10',
      wrong: (value, all) => wrongGib(value, leastOf(text(all, 'image'))) ?? shortOfVolumes(Number(text(all, 'count')) || 1, (Number(text(all, 'count')) || 1) * Number(value), quotas),
    },
    { name: 'goes', label: 'Delete the volume with the instance', kind: 'check', asked: onNewVolume, initial: true },
  ];
  const network: Field[] = [
    { name: 'networks', label: 'Networks', kind: 'many', hint: 'The instance gets an interface in each of them.', choices: networks.map((network) => ({ value: network.id, label: network.name || network.id, description: network.shared ? 'shared' : undefined })) },
    { name: 'groups', label: 'Security groups', kind: 'many', hint: 'Who may reach it. Without one: default.', choices: groups.map((group) => ({ value: group.id, label: group.name, description: group.description })) },
  ];
  const access: Field[] = [
    { name: 'key', label: 'Key pair', kind: 'select', optional: true, placeholder: 'None', choices: [{ value: '', label: 'None' }, ...pairs.map(({ keypair }) => ({ value: keypair.name, label: keypair.name, description: keypair.fingerprint }))] },
    { name: 'data', label: 'User data', kind: 'textarea', optional: true, hint: 'A script or a cloud-init document that runs at the first start.', placeholder: '#!/bin/sh', wrong: (value) => (value.length > 48_000 ? 'At most 48 000 characters.' : undefined) },
  ];
  const [values, setValues] = useState<Values>(() => initialValues([...details, ...network, ...access]));
  const [size, setSize] = useState<string>();
  const count = Number(text(values, 'count')) || 1;
  const boot = bootOf(values);
  const image = images.find((image) => image.id === values.image);
  const disk = disks.find((volume) => volume.id === values.volume);
  const flavor = flavors.find((flavor) => flavor.id === size);
  const fits = useFits(flavors, boot.from === 'image');
  // A disk on a volume is not of the flavor's.
  const needs = boot.from === 'image' ? image : image && boot.from === 'new-volume' ? { min_disk: 0, min_ram: image.min_ram } : undefined;
  const why = (flavor: Flavor) => shortOf(flavor, needs, count, quotas) ?? (fits[flavor.id]?.fits === false ? (fits[flavor.id]?.why ?? undefined) : undefined);
  const wrongSize = !flavor ? 'Choose a size.' : why(flavor);
  const wrong = [wrongs(details, values), {}, wrongs(network, values), wrongs(access, values), {}];
  const good = (at: number) => Object.keys(wrong[at] ?? {}).length === 0 && (at !== 1 || !wrongSize) && (at !== 2 || many(values, 'networks').length > 0);

  const move = (to: number) => {
    setTried(true);
    for (let at = 0; at < to; at += 1) if (!good(at)) return setStep(at);
    setTried(false);
    setStep(to);
  };
  const groupNames = groups.filter((group) => many(values, 'groups').includes(group.id)).map((group) => group.name);
  const command = openstack(
    'server create',
    [...bootOptions(boot, boot.from === 'volume' ? (disk ? called(disk) : 'VOLUME') : (image?.name ?? image?.id ?? 'IMAGE')), ['flavor', flavor?.name ?? 'FLAVOR'], ...many(values, 'networks').map((id): [string, string] => ['network', networks.find((network) => network.id === id)?.name || id]),
      ['security-group', groupNames], ['key-name', text(values, 'key')], ['user-data', text(values, 'data') && 'FILE'], ['min', count > 1 && count], ['max', count > 1 && count]],
    text(values, 'name'),
  );
  const launch = async () => {
    setBusy(true);
    setFault(undefined);
    const data = text(values, 'data');
    try {
      const server = {
        name: text(values, 'name'), flavorRef: size, ...bootBody(boot),
        networks: many(values, 'networks').map((uuid) => ({ uuid })),
        ...(groupNames.length > 0 && { security_groups: many(values, 'groups').map((name) => ({ name })) }),
        ...(values.key && { key_name: values.key }),
        ...(data && { user_data: btoa(String.fromCharCode(...new TextEncoder().encode(data))) }),
        ...(count > 1 && { min_count: count, max_count: count }),
      };
      await ask('compute', '/v2.1/servers', { method: 'POST', version: COMPUTE, body: { server } });
      news.tell('success', `${text(values, 'name')} is being launched`);
      go('/instances');
    } catch (why) {
      setFault(why);
    } finally {
      setBusy(false);
    }
  };
  const form = (fields: Field[], at: number) => <Container><Fields fields={fields} values={values} wrong={tried ? wrong[at]! : {}} set={setValues} /></Container>;
  return (
    <Wizard
      activeStepIndex={step}
      isLoadingNextStep={busy}
      onNavigate={({ detail }) => move(detail.requestedStepIndex)}
      onCancel={() => go('/instances')}
      onSubmit={() => void launch()}
      submitButtonText="Launch"
      i18nStrings={{ stepNumberLabel: (step) => `Step ${step}`, collapsedStepsLabel: (step, of) => `Step ${step} of ${of}`, skipToButtonLabel: (step) => `Skip to ${step.title}`, navigationAriaLabel: 'Steps', cancelButton: 'Cancel', previousButton: 'Back', nextButton: 'Next', submitButton: 'Launch', optional: 'optional' }}
      steps={[
        { title: 'Source', content: form(details, 0) },
        {
          title: 'Size',
          description: 'What is left of the quota, and whether it fits on a host now.',
          errorText: tried ? wrongSize : undefined,
          content: <Sizes flavors={flavors} fits={fits} why={why} size={size} set={setSize} left={quotas} />,
        },
        { title: 'Network', errorText: tried && many(values, 'networks').length === 0 ? 'Choose a network.' : undefined, content: networks.length > 0 ? form(network, 2) : <Alert type="warning" header="There is no network to connect it to">Make a network with a subnet first, under Networks.</Alert> },
        { title: 'Access', content: form(access, 3) },
        {
          title: 'Review',
          content: (
            <SpaceBetween size="l">
              {fault !== undefined && <Alert type="error" header="It was not launched">{words(fault)} {fault instanceof Fault && fault.requestId && <Box variant="small">Request {fault.requestId}</Box>}</Alert>}
              <Container header={<Header variant="h2">What will be launched</Header>}>
                <KeyValuePairs
                  columns={3}
                  items={[
                    { label: 'Name', value: text(values, 'name') }, { label: 'How many', value: count }, 
                    { label: 'Starts from', value: boot.from === 'volume' ? `Volume ${disk ? called(disk) : '–'}` : `Image ${image?.name ?? '–'}` },
                    { label: 'Size', value: flavor ? `${flavor.name}: ${flavor.vcpus} vCPU, ${mib(flavor.ram)}${boot.from === 'image' ? `, ${flavor.disk} GiB` : ''}` : '–' },
                    ...(boot.from === 'new-volume' ? [{ label: 'Disk', value: `A new volume of ${boot.size} GiB, which ${boot.goes ? 'goes with the instance' : 'stays'}` }] : []),
                    { label: 'Networks', value: many(values, 'networks').map((id) => networks.find((network) => network.id === id)?.name || id).join(', ') || '–' },
                    { label: 'Security groups', value: groupNames.join(', ') || 'default' },
                    { label: 'Key pair', value: text(values, 'key') || 'None' }, { label: 'User data', value: text(values, 'data') ? 'Yes' : 'None' },
                  ]}
                />
              </Container>
              <Command text={command} />
            </SpaceBetween>
          ),
        },
      ]}
    />
  );
}

/** What was chosen to start from. */
function bootOf(values: Values): Boot {
  if (values.from === 'volume') return { from: 'volume', volume: text(values, 'volume') };
  const image = text(values, 'image');
  return values.from === 'new-volume' ? { from: 'new-volume', image, size: Number(text(values, 'gib')), goes: flag(values, 'goes') } : { from: 'image', image };
}

/** Asks for each size whether it fits on a host now, with its disk or without. */
function useFits(flavors: Flavor[], withDisk: boolean): Record<string, Fit | undefined> {
  const answers = useQueries({
    queries: flavors.slice(0, 40).map((flavor) => ({
      queryKey: ['fit', flavor.vcpus, flavor.ram, withDisk && flavor.disk],
      queryFn: () => own<Fit>(`/fit?vcpus=${flavor.vcpus}&ram_mib=${flavor.ram}&disk_gib=${withDisk ? flavor.disk : 0}`),
      refetchInterval: 15_000,
      retry: false,
    })),
  });
  return Object.fromEntries(flavors.map((flavor, at) => [flavor.id, answers[at]?.data]));
}

interface SizesProps { flavors: Flavor[]; fits: Record<string, Fit | undefined>; why: (flavor: Flavor) => string | undefined; size?: string; set: (id: string) => void; left: ReturnType<typeof useQuotas>['data'] }

function Sizes({ flavors, fits, why, size, set, left }: SizesProps) {
  const rest = (name: 'instances' | 'cores' | 'ram', show: (value: number) => string) => {
    const amount = left?.[name];
    return !amount ? '…' : amount.limit < 0 ? 'no limit' : show(Math.max(0, amount.limit - amount.used));
  };
  return (
    <SpaceBetween size="m">
      <Container>
        <KeyValuePairs columns={3} items={[{ label: 'Instances left', value: rest('instances', String) }, { label: 'vCPUs left', value: rest('cores', String) }, { label: 'Memory left', value: rest('ram', mib) }]} />
      </Container>
      <Cards
        items={flavors}
        trackBy="id"
        selectionType="single"
        selectedItems={flavors.filter((flavor) => flavor.id === size)}
        onSelectionChange={({ detail }) => detail.selectedItems[0] && set(detail.selectedItems[0].id)}
        isItemDisabled={(flavor) => !!why(flavor)}
        entireCardClickable
        cardsPerRow={[{ cards: 1 }, { minWidth: 500, cards: 2 }, { minWidth: 900, cards: 3 }]}
        ariaLabels={{ cardsLabel: 'Sizes', selectionGroupLabel: 'Choose a size', itemSelectionLabel: (_all, flavor) => flavor.name }}
        empty={<Box textAlign="center">This cloud has no flavors yet. Whoever runs it makes them.</Box>}
        cardDefinition={{
          header: (flavor) => flavor.name,
          sections: [
            { id: 'size', content: (flavor) => `${flavor.vcpus} vCPU · ${mib(flavor.ram)} · ${flavor.disk} GiB disk` },
            {
              id: 'fits',
              content: (flavor) => {
                const reason = why(flavor);
                if (reason) return <StatusIndicator type="warning">{reason}</StatusIndicator>;
                return fits[flavor.id] ? <StatusIndicator type="success">Fits on a host now</StatusIndicator> : <StatusIndicator type="pending">Asking whether it fits</StatusIndicator>;
              },
            },
          ],
        }}
      />
    </SpaceBetween>
  );
}
