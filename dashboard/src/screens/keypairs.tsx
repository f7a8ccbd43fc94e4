// Key pairs: made here, or the public half of one's own.
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useState } from 'react';
import { openstack } from '../cloud/cli';
import { COMPUTE } from '../cloud/kinds';
import { useAsk, useThings } from '../cloud/session';
import { FormDialog, text, type Field } from '../parts/form';
import { List } from '../parts/list';
import { Copy } from '../parts/small';

const FIELDS: Field[] = [
  { name: 'name', label: 'Name', placeholder: 'laptop', wrong: (value) => (/^[A-Za-z0-9 _-]{1,255}$/.test(value) ? undefined : 'Letters, digits, spaces, "-" and "_" only.') },
  { name: 'key', label: 'Public key', kind: 'textarea', hint: 'The content of ~/.ssh/id_ed25519.pub', placeholder: 'ssh-ed25519 AAAA…', wrong: (value) => (/^(ssh|ecdsa|sk)-\S+ \S+/.test(value) ? undefined : 'This is no public key: it begins with ssh-ed25519, ssh-rsa or the like.') },
];

export function KeyPairs() {
  const { things, loading, error } = useThings('keypairs');
  const ask = useAsk();
  const [open, setOpen] = useState(false);
  return (
    <SpaceBetween size="m">
      <List
        title="Key pairs"
        one="key pair"
        things={things}
        loading={loading}
        error={error}
        id={(pair) => pair.keypair.name}
        name={(pair) => pair.keypair.name}
        empty="With a key pair you can log in to your instances. Import the public half of yours."
        description="Yours in every project"
        create={{ label: 'Import key pair', go: () => setOpen(true) }}
        columns={[
          { id: 'name', header: 'Name', cell: (pair) => pair.keypair.name, by: (pair) => pair.keypair.name },
          { id: 'type', header: 'Type', cell: (pair) => pair.keypair.type ?? 'ssh', by: (pair) => pair.keypair.type ?? '' },
          { id: 'fingerprint', header: 'Fingerprint', cell: (pair) => <Copy text={pair.keypair.fingerprint} />, by: (pair) => pair.keypair.fingerprint },
        ]}
        actions={[
          {
            id: 'delete', label: 'Delete', can: () => true, danger: 'Instances that have it already keep it.',
            command: (pair) => openstack('keypair delete', [], pair.keypair.name),
            run: (pair) => ask('compute', `/v2.1/os-keypairs/${encodeURIComponent(pair.keypair.name)}`, { method: 'DELETE', version: COMPUTE }),
          },
        ]}
      />
      {open && (
        <FormDialog
          title="Import a key pair"
          button="Import"
          fields={FIELDS}
          close={() => setOpen(false)}
          command={(values) => openstack('keypair create', [['public-key', '~/.ssh/id_ed25519.pub']], text(values, 'name'))}
          done={(values) => `The key pair ${text(values, 'name')} is there`}
          submit={(values) => ask('compute', '/v2.1/os-keypairs', { method: 'POST', version: COMPUTE, body: { keypair: { name: text(values, 'name'), type: 'ssh', public_key: text(values, 'key') } } })}
        />
      )}
    </SpaceBetween>
  );
}
