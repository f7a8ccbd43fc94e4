// What several pages know of servers: the table of actions, each with its call, and the forms that some of them open.
import { useState } from 'react';
import { SERVER_ACTIONS } from '../cloud/actions';
import { openstack } from '../cloud/cli';
import { COMPUTE, type Server } from '../cloud/kinds';
import { shortOfResize } from '../cloud/launch';
import { useAsk, useHere, useQuotas, useThings } from '../cloud/session';
import { mib } from '../cloud/words';
import { called, isRoot } from '../cloud/volumes';
import { FormDialog, text, type Field } from './form';
import type { Doable } from './list';
import { useAttaching, useHasVolumes } from './volumes';

export const addresses = (server: Server, type: 'fixed' | 'floating') =>
  Object.values(server.addresses).flat().filter((address) => address['OS-EXT-IPS:type'] === type).map((address) => address.addr);

/** `POST …/action` of a server. */
function useAct() {
  const ask = useAsk();
  return (server: Server, body: unknown) => ask('compute', `/v2.1/servers/${server.id}/action`, { method: 'POST', body, version: COMPUTE });
}

/** The table of actions, and the form that stands open. */
export function useServerActions() {
  const ask = useAsk();
  const act = useAct();
  const { isAdmin } = useHere();
  const hasVolumes = useHasVolumes();
  const [asked, setAsked] = useState<{ action: string; server: Server }>();
  const table = SERVER_ACTIONS.filter((action) => (action.needs !== 'admin' || isAdmin) && (action.needs !== 'volumes' || hasVolumes));
  const actions: Doable<Server>[] = table.map((action) => ({
    ...action,
    run: async (server) => {
      if (action.opens) return setAsked({ action: action.id, server });
      return action.body === undefined ? ask('compute', `/v2.1/servers/${server.id}`, { method: 'DELETE', version: COMPUTE }) : act(server, action.body);
    },
  }));
  const Dialog = asked && DIALOGS[asked.action];
  return { actions, dialog: Dialog && <Dialog server={asked.server} close={() => setAsked(undefined)} /> };
}

interface Open {
  server: Server;
  close: () => void;
}

function Resize({ server, close }: Open) {
  const act = useAct();
  const quotas = useQuotas().data;
  const flavors = useThings('flavors').things.filter((flavor) => flavor.name !== server.flavor.original_name).sort((a, b) => a.ram - b.ram || a.vcpus - b.vcpus);
  const find = (id: string) => flavors.find((flavor) => flavor.id === id);
  const fields: Field[] = [
    {
      name: 'flavor', label: 'New flavor', kind: 'select', hint: `It has ${server.flavor.original_name} now. It is shut off for it and started again, and then waits until you confirm or go back.`,
      choices: flavors.map((flavor) => ({ value: flavor.id, label: flavor.name, description: `${flavor.vcpus} vCPU · ${mib(flavor.ram)} · ${flavor.disk} GiB disk` })),
      wrong: (id) => { const flavor = find(id); return flavor && shortOfResize(flavor, server, quotas); },
    },
  ];
  return (
    <FormDialog
      title={`Resize ${server.name}`}
      button="Resize"
      fields={fields}
      close={close}
      done={`${server.name} is being resized`}
      command={(values) => openstack('server resize', [['flavor', find(text(values, 'flavor'))?.name ?? 'FLAVOR']], server.name)}
      submit={(values) => act(server, { resize: { flavorRef: text(values, 'flavor') } })}
    />
  );
}

/** For administrators: to another host, running or switched off. */
function Move({ server, close, live }: Open & { live: boolean }) {
  const act = useAct();
  const here = server['OS-EXT-SRV-ATTR:host'];
  const hosts = useThings('hosts').things.filter((host) => host.state === 'up' && host.status === 'enabled' && host.service.host !== here);
  const fields: Field[] = [
    {
      name: 'host', label: 'To', kind: 'select', optional: true, initial: '', hint: `It is on ${here ?? 'no host'}.${live ? '' : ' There it waits until you confirm or go back.'}`,
      choices: [{ value: '', label: 'Any host that has room' }, ...hosts.map((host) => ({ value: host.service.host, label: host.hypervisor_hostname }))],
    },
  ];
  return (
    <FormDialog
      title={live ? `Move ${server.name} while it runs` : `Move ${server.name} switched off`}
      button="Move"
      fields={fields}
      close={close}
      done={`${server.name} is being moved`}
      command={(values) => openstack('server migrate', [['live-migration', live], ['host', text(values, 'host')]], server.name)}
      submit={(values) => {
        const host = text(values, 'host');
        return act(server, live ? { 'os-migrateLive': { host: host || null, block_migration: 'auto' } } : { migrate: host ? { host } : null });
      }}
    />
  );
}

function AttachVolume({ server, close }: Open) {
  const { attach } = useAttaching();
  const volumes = useThings('volumes').things.filter((volume) => volume.status === 'available' || (volume.multiattach && volume.status === 'in-use' && !volume.attachments.some((one) => one.server_id === server.id)));
  const name = (id: string) => { const volume = volumes.find((one) => one.id === id); return volume ? called(volume) : ''; };
  const fields: Field[] = [{ name: 'volume', label: 'Volume', kind: 'select', hint: 'One that is available.', choices: volumes.map((volume) => ({ value: volume.id, label: called(volume), description: `${volume.size} GiB · ${volume.volume_type ?? 'no type'}` })) }];
  return (
    <FormDialog
      title={`Attach a volume to ${server.name}`}
      button="Attach"
      fields={fields}
      close={close}
      done={(values) => `${name(text(values, 'volume'))} is being attached to ${server.name}`}
      command={(values) => openstack('server add volume', [], server.name, name(text(values, 'volume')) || 'VOLUME')}
      submit={(values) => attach(server.id, text(values, 'volume'))}
    />
  );
}

function DetachVolume({ server, close }: Open) {
  const { detach } = useAttaching();
  const volumes = useThings('volumes').things.filter((volume) => volume.attachments.some((one) => one.server_id === server.id) && !isRoot(volume));
  const name = (id: string) => { const volume = volumes.find((one) => one.id === id); return volume ? called(volume) : ''; };
  const fields: Field[] = [{ name: 'volume', label: 'Volume', kind: 'select', hint: 'Unmount it in the guest first: what is not yet written to it is lost. The root disk stays.', choices: volumes.map((volume) => ({ value: volume.id, label: called(volume), description: `${volume.size} GiB` })) }];
  return (
    <FormDialog
      title={`Detach a volume from ${server.name}`}
      button="Detach"
      fields={fields}
      close={close}
      done={(values) => `${name(text(values, 'volume'))} is being detached from ${server.name}`}
      command={(values) => openstack('server remove volume', [], server.name, name(text(values, 'volume')) || 'VOLUME')}
      submit={(values) => detach(server.id, text(values, 'volume'))}
    />
  );
}

const DIALOGS: Record<string, (open: Open) => React.ReactNode> = {
  resize: Resize,
  'live-migrate': (open) => <Move live {...open} />,
  migrate: (open) => <Move live={false} {...open} />,
  'attach-volume': AttachVolume,
  'detach-volume': DetachVolume,
};
