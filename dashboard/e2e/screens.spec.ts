// Every screen, light and dark: axe finds nothing, the policy holds, the first visit is small. SCREENS=1 takes pictures.
import type { Page } from '@playwright/test';
import { Operator } from './cloud';
import { accessible, admin, expect, origin, setDark, settled, shot, signIn, test } from './page';

const FIRST_VISIT_BYTES = 700_000;
async function both(page: Page, name: string, ready: () => Promise<unknown>): Promise<void> {
  for (const dark of [false, true]) {
    await setDark(page, dark);
    await ready();
    await settled(page);
    await accessible(page, `${name}, ${dark ? 'dark' : 'light'}`);
    await shot(page, `${name}-${dark ? 'dark' : 'light'}`);
  }
  await setDark(page, false);
}

/** Something of everything, by the same way as the pages. */
async function furnish(page: Page): Promise<{ project: string; ids: Record<string, string> }> {
  const project = /\/p\/([^/]+)/.exec(page.url())![1]!;
  const ids = await page.evaluate(async (project) => {
    const call = async (method: string, path: string, body?: unknown) => {
      const headers = { 'X-Nephos-Dashboard': '1', 'X-Nephos-Project': project, 'Content-Type': 'application/json' };
      const answer = await fetch(`/dashboard/api${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${path}: ${text}`);
      return text ? JSON.parse(text) : undefined;
    };
    const out = (await call('GET', '/network/v2.0/networks')).networks.find((one: { name: string }) => one.name === 'public').id;
    const net = (await call('POST', '/network/v2.0/networks', { network: { name: 'app-net' } })).network.id;
    const subnet = (await call('POST', '/network/v2.0/subnets', { subnet: { network_id: net, name: 'app-subnet', cidr: '10.20.0.0/24', ip_version: 4 } })).subnet.id;
    const router = (await call('POST', '/network/v2.0/routers', { router: { name: 'edge', external_gateway_info: { network_id: out } } })).router.id;
    await call('PUT', `/network/v2.0/routers/${router}/add_router_interface`, { subnet_id: subnet });
    const group = (await call('POST', '/network/v2.0/security-groups', { security_group: { name: 'web', description: 'Whoever serves pages' } })).security_group.id;
    for (const port of [22, 443]) await call('POST', '/network/v2.0/security-group-rules', { security_group_rule: { security_group_id: group, direction: 'ingress', protocol: 'tcp', port_range_min: port, port_range_max: port, remote_ip_prefix: '0.0.0.0/0' } });
    await call('POST', '/compute/v2.1/os-keypairs', { keypair: { name: 'laptop', public_key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl dana' } });
    const image = (await call('GET', '/image/v2/images')).images[0].id;
    const flavor = (await call('GET', '/compute/v2.1/flavors')).flavors.find((one: { name: string }) => one.name === 'm1.nano').id;
    let server = '';
    for (const name of ['web-1', 'web-2', 'db-1']) server = (await call('POST', '/compute/v2.1/servers', { server: { name, imageRef: image, flavorRef: flavor, networks: [{ uuid: net }], security_groups: [{ name: 'web' }], key_name: 'laptop' } })).server.id;
    for (;;) {
      const { servers } = await call('GET', '/compute/v2.1/servers/detail');
      if (servers.every((one: { status: string }) => one.status === 'ACTIVE')) break;
      await new Promise((done) => setTimeout(done, 200));
    }
    const port = (await call('GET', `/network/v2.0/ports?device_id=${server}`)).ports[0].id;
    await call('POST', '/network/v2.0/floatingips', { floatingip: { floating_network_id: out, port_id: port } });
    const block = `/block/v3/${project}`;
    const settle = async (list: string, key: string, status: string[]) => {
      for (;;) {
        const all = (await call('GET', `${block}/${list}/detail`))[key];
        if (all.every((one: { status: string }) => status.includes(one.status))) return;
        await new Promise((done) => setTimeout(done, 200));
      }
    };
    let volume = '';
    for (const [name, size] of [['logs', 5], ['scratch', 20], ['data', 10]] as const) volume = (await call('POST', `${block}/volumes`, { volume: { name, size, metadata: { team: 'web' } } })).volume.id;
    await call('POST', `${block}/volumes`, { volume: { name: 'root', size: 2, imageRef: image } });
    await settle('volumes', 'volumes', ['available']);
    await call('POST', `${block}/snapshots`, { snapshot: { volume_id: volume, name: 'monday', description: 'Before the upgrade' } });
    await settle('snapshots', 'snapshots', ['available']);
    await call('POST', `${block}/backups`, { backup: { volume_id: volume, name: 'weekly' } });
    await settle('backups', 'backups', ['available']);
    await settle('volumes', 'volumes', ['available']);
    await call('POST', `/compute/v2.1/servers/${server}/os-volume_attachments`, { volumeAttachment: { volumeId: volume } });
    await settle('volumes', 'volumes', ['available', 'in-use']);
    return { net, router, group, server, volume };
  }, project);
  return { project, ids };
}

test('the first visit is small', async ({ page, account }) => {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Network.enable');
  await devtools.send('Network.setCacheDisabled', { cacheDisabled: true });
  let bytes = 0;
  devtools.on('Network.loadingFinished', (event) => (bytes += event.encodedDataLength));
  await signIn(page, account);
  await page.getByRole('link', { name: 'Instances', exact: true }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Instances' })).toBeVisible();
  await expect(page.getByText('There is no instance here yet.')).toBeVisible();
  await settled(page);
  console.log(`sign in, overview and instances: ${bytes} bytes over the wire, at most ${FIRST_VISIT_BYTES}`);
  expect(bytes).toBeGreaterThan(50_000);
  expect(bytes).toBeLessThanOrEqual(FIRST_VISIT_BYTES);
});

test('every screen of a project is accessible and keeps the policy', async ({ page, account }) => {
  await page.goto(`${origin()}/dashboard/`);
  await both(page, 'sign-in', () => expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible());
  await signIn(page, account);
  const { project, ids } = await furnish(page);
  const visit = async (path: string, name: string, heading: string, also?: string) => {
    await page.goto(`${origin()}/dashboard/p/${project}${path}`);
    await both(page, name, async () => {
      await expect(page.getByRole('heading', { name: heading }).first()).toBeVisible();
      if (also) await expect(page.getByText(also).filter({ visible: true }).first()).toBeVisible();
    });
  };
  await visit('', 'overview', 'Overview', 'db-1');
  await visit('/instances', 'instances', 'Instances', 'db-1');
  await page.getByRole('checkbox', { name: 'Select web-1' }).check({ force: true });
  await page.getByRole('button', { name: 'Actions' }).click();
  await expect(page.getByRole('menuitem', { name: 'Stop' })).toBeVisible();
  await settled(page);
  await shot(page, 'instances-actions-light');
  await accessible(page, 'actions');
  await visit(`/instances/${ids.server}`, 'instance', 'db-1');
  await visit(`/instances/${ids.server}?tab=log`, 'instance-log', 'Console log');
  await visit(`/instances/${ids.server}?tab=interfaces`, 'instance-interfaces', 'Interfaces');
  await visit(`/instances/${ids.server}?tab=volumes`, 'instance-volumes', 'Volumes', '/dev/vdb');
  await visit(`/instances/${ids.server}?tab=timeline`, 'instance-timeline', 'Timeline');
  await page.getByRole('button', { name: 'Actions' }).click();
  await page.getByRole('menuitem', { name: 'Resize', exact: true }).click();
  await both(page, 'instance-resize', () => expect(page.getByRole('dialog')).toBeVisible());
  await visit('/instances/launch', 'launch', 'Source');
  await page.getByLabel('Name').fill('web-3');
  await page.getByRole('button', { name: /^Image/ }).click();
  await page.getByRole('option', { name: /nephos-guest/ }).click();
  await page.getByRole('button', { name: 'Next' }).click();
  await expect(page.getByText('Fits on a host now').first()).toBeVisible();
  await both(page, 'launch-size', () => expect(page.getByRole('heading', { name: 'Size' }).first()).toBeVisible());
  await page.goto(`${origin()}/dashboard/p/${project}/instances/launch`);
  await page.getByLabel('Name').fill('web-3');
  await page.getByRole('button', { name: 'Starts from' }).click();
  await page.getByRole('option', { name: /new volume/ }).click();
  await both(page, 'launch-volume', () => expect(page.getByLabel('Size of the volume')).toBeVisible());
  await visit('/volumes', 'volumes', 'Volumes', 'db-1');
  await page.getByRole('checkbox', { name: 'Select data' }).check({ force: true });
  await page.getByRole('button', { name: 'Actions' }).click();
  await expect(page.getByRole('menuitem', { name: 'Extend' })).toBeVisible();
  await settled(page);
  await shot(page, 'volumes-actions-light');
  await accessible(page, 'actions of volumes');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Create volume' }).first().click();
  await page.getByRole('dialog').getByLabel('Name').fill('copy');
  await page.getByRole('button', { name: 'Made from' }).click();
  await page.getByRole('option', { name: 'A snapshot' }).click();
  await both(page, 'volume-create', () => expect(page.getByRole('button', { name: /^Snapshot/ })).toBeVisible());
  await visit(`/volumes/${ids.volume}`, 'volume', 'data', 'db-1');
  await visit(`/volumes/${ids.volume}?tab=snapshots`, 'volume-snapshots', 'Snapshots', 'monday');
  await visit(`/volumes/${ids.volume}?tab=backups`, 'volume-backups', 'Backups', 'weekly');
  await visit(`/volumes/${ids.volume}?tab=messages`, 'volume-messages', 'Messages');
  await visit('/snapshots', 'snapshots', 'Snapshots', 'monday');
  await visit('/backups', 'backups', 'Backups', 'weekly');
  await visit('/images', 'images', 'Images');
  await visit('/keypairs', 'keypairs', 'Key pairs');
  await visit('/topology', 'topology', 'Topology');
  await visit('/networks', 'networks', 'Networks');
  await page.getByRole('button', { name: 'Create network' }).first().click();
  await both(page, 'network-create', () => expect(page.getByRole('dialog')).toBeVisible());
  await visit(`/networks/${ids.net}`, 'network', 'app-net');
  await visit('/routers', 'routers', 'Routers');
  await visit(`/routers/${ids.router}`, 'router', 'edge');
  await visit('/security-groups', 'security-groups', 'Security groups');
  await visit(`/security-groups/${ids.group}`, 'security-group', 'web');
  await visit('/floating-ips', 'floating-ips', 'Floating IPs');
});

test('every screen of an administrator is accessible and keeps the policy', async ({ page }) => {
  await signIn(page, admin());
  const project = /\/p\/([^/]+)/.exec(page.url())![1]!;
  const cloud = await Operator.signIn(origin(), process.env.NEPHOS_ADMIN!);
  const block = `/volume/v3/${project}`;
  const { qos_specs } = await cloud.call<{ qos_specs: { id: string } }>('POST', `${block}/qos-specs`, { qos_specs: { name: 'steady', consumer: 'front-end', total_iops_sec: '500' } });
  const { volume_type } = await cloud.call<{ volume_type: { id: string } }>('POST', `${block}/types`, { volume_type: { name: 'steady', description: '500 operations a second' } });
  await cloud.call('GET', `${block}/qos-specs/${qos_specs.id}/associate?vol_type_id=${volume_type.id}`);
  for (const [name, heading] of [['projects', 'Projects'], ['users', 'Users'], ['flavors', 'Flavors'], ['volume-types', 'Volume types'], ['hosts', 'Hosts']] as const) {
    await page.goto(`${origin()}/dashboard/p/${project}/admin/${name}`);
    await both(page, `admin-${name}`, () => expect(page.getByRole('heading', { level: 1, name: heading })).toBeVisible());
  }
  await page.goto(`${origin()}/dashboard/p/${project}/admin/projects`);
  await page.getByRole('checkbox', { name: 'Select demo' }).check({ force: true });
  await page.getByRole('button', { name: 'Actions' }).click();
  await page.getByRole('menuitem', { name: 'Change quotas' }).click();
  await both(page, 'admin-quotas', () => expect(page.getByRole('dialog')).toBeVisible());
});
