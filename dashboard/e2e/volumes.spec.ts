// Volumes, their snapshots and backups, against the real cloud.
import type { Page } from '@playwright/test';
import { admin, choose, expect, go, origin, remove, row, signIn, test, told } from './page';
import { Operator } from './cloud';

const dialog = (page: Page) => page.getByRole('dialog');
const press = (page: Page, button: string) => dialog(page).getByRole('button', { name: button, exact: true }).click();
async function act(page: Page, action: string): Promise<void> {
  await page.getByRole('button', { name: 'Actions' }).first().click();
  await page.getByRole('menuitem', { name: action, exact: true }).click();
}
async function refused(page: Page, action: RegExp, why: string): Promise<void> {
  const item = page.getByRole('menuitem', { name: action });
  await expect(item).toHaveAttribute('aria-disabled', 'true');
  await expect(item).toHaveAccessibleDescription(why);
}
// A message that comes up moves the list under the pointer: then it is clicked again.
const select = (page: Page, name: string) =>
  expect(async () => {
    const box = page.getByRole('checkbox', { name: `Select ${name}`, exact: true });
    if (!(await box.isChecked())) await box.check({ force: true, timeout: 5000 });
  }).toPass();

async function network(page: Page, name: string): Promise<void> {
  await go(page, 'Networks');
  await page.getByRole('button', { name: 'Create network' }).first().click();
  await dialog(page).getByLabel('Name').fill(name);
  await press(page, 'Create');
  await expect(row(page, name)).toContainText('10.10.0.0/24');
}

/** Launches a server; `source` fills in what it starts from. */
async function launch(page: Page, name: string, net: RegExp, source: () => Promise<void>): Promise<void> {
  await go(page, 'Instances');
  await page.getByRole('button', { name: 'Launch instance' }).first().click();
  await page.getByLabel('Name').fill(name);
  await source();
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('radio', { name: 'm1.nano' }).check({ force: true });
  await page.getByRole('button', { name: 'Next' }).click();
  await choose(page, 'Networks', net);
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('button', { name: 'Next' }).click();
}

test('a volume is made, attached to a running server, extended there, copied, backed up and deleted, all without a reload', async ({ page, account }) => {
  const documents: string[] = [];
  await signIn(page, account);
  page.on('request', (request) => request.resourceType() === 'document' && documents.push(request.url()));
  await network(page, 'disk-net');
  await launch(page, 'disk-1', /disk-net/, () => choose(page, 'Image', /nephos-guest/));
  await page.getByRole('button', { name: 'Launch' }).click();
  await expect(row(page, 'disk-1')).toContainText('Active');

  await go(page, 'Volumes');
  await page.getByRole('button', { name: 'Create volume' }).first().click();
  await dialog(page).getByLabel('Name').fill('data');
  await told(page, /Your quota has 1000 GiB and 10 volumes left/);
  await dialog(page).getByLabel('Size, in GiB').fill('1001');
  await press(page, 'Create');
  await told(page, 'Your quota has 1000 GiB of volumes left; this needs 1001 GiB.');
  await dialog(page).getByLabel('Size, in GiB').fill('1');
  await expect(page.getByTestId('command')).toHaveText('openstack volume create --size 1 data');
  await press(page, 'Create');
  await expect(row(page, 'data')).toContainText('Available');
  await select(page, 'data');
  await page.getByRole('button', { name: 'Actions' }).click();
  await expect(page.getByRole('menuitem', { name: /^Detach/ })).toHaveAttribute('aria-disabled', 'true');
  await page.getByRole('menuitem', { name: 'Attach to an instance' }).click();
  await choose(page, 'Instance', /disk-1/);
  await expect(page.getByTestId('command')).toHaveText('openstack server add volume disk-1 data');
  await press(page, 'Attach');
  await expect(row(page, 'data')).toContainText('In use');
  await expect(row(page, 'data')).toContainText('disk-1 as /dev/vdb');

  await page.getByRole('link', { name: 'data', exact: true }).click();
  // The list has actions as well, until the page is there.
  await expect(page.getByRole('heading', { name: 'data', exact: true }).first()).toBeVisible();
  await act(page, 'Extend');
  await expect(dialog(page).getByLabel('New size, in GiB')).toHaveValue('2');
  await expect(page.getByTestId('command').last()).toHaveText('openstack --os-volume-api-version 3.42 volume set --size 2 data');
  await press(page, 'Extend');
  await expect(page.getByText('2 GiB', { exact: true })).toBeVisible();
  await page.getByRole('button', { name: 'Actions' }).first().click();
  await refused(page, /^Delete(?! with)/, 'It is attached to disk-1. Detach it first.');
  await page.keyboard.press('Escape');
  // A volume in use can be copied where the file system shares blocks, which not every machine's does: free it first.
  await select(page, 'disk-1');
  await page.getByRole('button', { name: 'Actions' }).last().click();
  await page.getByRole('menuitem', { name: 'Detach', exact: true }).click();
  await press(page, 'Detach');
  await told(page, 'No instance uses it.');

  await page.getByRole('tab', { name: 'Snapshots' }).click();
  await page.getByRole('button', { name: 'Create snapshot' }).first().click();
  await dialog(page).getByLabel('Name').fill('monday');
  await press(page, 'Create');
  await expect(row(page, 'monday')).toContainText('Available');
  await page.getByRole('tab', { name: 'Backups' }).click();
  await page.getByRole('button', { name: 'Back up' }).first().click();
  await dialog(page).getByLabel('Name').fill('weekly');
  await press(page, 'Back up');
  await expect(row(page, 'weekly')).toContainText('Available');

  await go(page, 'Snapshots');
  await select(page, 'monday');
  await act(page, 'Create volume');
  await dialog(page).getByLabel('Name').fill('copy');
  await expect(page.getByTestId('command')).toHaveText('openstack volume create --size 2 --snapshot monday copy');
  await press(page, 'Create');
  await go(page, 'Backups');
  await select(page, 'weekly');
  await act(page, 'Restore');
  await dialog(page).getByLabel('Name of the new volume').fill('again');
  await expect(page.getByTestId('command')).toHaveText('openstack volume backup restore weekly again');
  await press(page, 'Restore');
  await go(page, 'Volumes');
  for (const name of ['copy', 'again']) await expect(row(page, name)).toContainText('Available');

  await select(page, 'copy');
  await act(page, 'Make an image');
  await dialog(page).getByLabel('Name of the image').fill('picture');
  await press(page, 'Make');
  await go(page, 'Images');
  await expect(row(page, 'picture')).toContainText('Active');
  await remove(page, 'Images', 'picture');
  for (const name of ['copy', 'again']) await remove(page, 'Volumes', name);
  await select(page, 'data');
  await page.getByRole('button', { name: 'Actions' }).first().click();
  await refused(page, /^Delete(?! with)/, 'It has 1 snapshot. Delete it first, or all of it together.');
  await page.keyboard.press('Escape');
  await act(page, 'Delete with its snapshots');
  await press(page, 'Delete with its snapshots');
  await expect(page.getByRole('checkbox', { name: 'Select data' })).toHaveCount(0);
  await go(page, 'Snapshots');
  await told(page, /There is no snapshot here yet/);
  await remove(page, 'Backups', 'weekly');
  await remove(page, 'Instances', 'disk-1');
  expect(documents, 'nothing was loaded anew').toEqual([]);
});

test('a server starts from an image on a new volume, gets another on its page, is resized, and takes its disk with it', async ({ page, account }) => {
  await signIn(page, account);
  await network(page, 'root-net');
  await go(page, 'Volumes');
  await page.getByRole('button', { name: 'Create volume' }).first().click();
  await dialog(page).getByLabel('Name').fill('extra');
  await press(page, 'Create');
  await expect(row(page, 'extra')).toContainText('Available');
  await launch(page, 'rooted', /root-net/, async () => {
    await choose(page, 'Starts from', /new volume/);
    await choose(page, 'Image', /nephos-guest/);
    await page.getByLabel('Size of the volume').fill('3');
  });
  await expect(page.getByTestId('command')).toContainText('volume_size=3,delete_on_termination=true --flavor m1.nano');
  await page.getByRole('button', { name: 'Launch' }).click();
  await expect(row(page, 'rooted')).toContainText('Active');
  await page.getByRole('link', { name: 'rooted' }).click();
  await page.getByRole('tab', { name: 'Volumes' }).click();
  await expect(row(page, '/dev/vda')).toContainText('3 GiB');
  await expect(row(page, '/dev/vda')).toContainText('Yes');
  await page.getByRole('button', { name: 'Attach a volume' }).click();
  await choose(page, 'Volume', /extra/);
  await press(page, 'Attach');
  await expect(row(page, 'extra')).toContainText('In use');
  await act(page, 'Detach a volume');
  await choose(page, 'Volume', /extra/);
  await press(page, 'Detach');
  await expect(row(page, 'extra')).toHaveCount(0);

  await act(page, 'Resize');
  await choose(page, 'New flavor', /m1.small/);
  await expect(page.getByTestId('command')).toHaveText('openstack server resize --flavor m1.small rooted');
  await press(page, 'Resize');
  await page.getByRole('button', { name: 'Confirm', exact: true }).click();
  await press(page, 'Confirm the new size');
  await page.getByRole('tab', { name: 'Summary' }).click();
  await told(page, /m1.small: 1 vCPU, 2 GiB/);
  await expect(page.getByText('It has been resized or moved')).toHaveCount(0);

  await remove(page, 'Instances', 'rooted');
  await go(page, 'Volumes');
  await expect(page.getByRole('checkbox', { name: /^Select/ })).toHaveCount(2);
  await remove(page, 'Volumes', 'extra');
});

test('an administrator moves a running server to the other host', async ({ page }) => {
  const cloud = await Operator.signIn(origin(), process.env.NEPHOS_ADMIN!);
  const { network } = await cloud.call<{ network: { id: string } }>('POST', '/network/v2.0/networks', { network: { name: 'move-net' } });
  await cloud.call('POST', '/network/v2.0/subnets', { subnet: { network_id: network.id, cidr: '10.70.0.0/24', ip_version: 4 } });
  await signIn(page, admin());
  await launch(page, 'mover', /move-net/, () => choose(page, 'Image', /nephos-guest/));
  await page.getByRole('button', { name: 'Launch' }).click();
  await expect(row(page, 'mover')).toContainText('Active');
  await page.getByRole('link', { name: 'mover' }).click();
  const host = page.getByText(/^sim-\d$/);
  const before = await host.innerText();
  await act(page, 'Move while it runs');
  const other = before === 'sim-1' ? 'sim-2' : 'sim-1';
  await choose(page, 'To', other);
  await expect(page.getByTestId('command').last()).toHaveText(`openstack server migrate --live-migration --host ${other} mover`);
  await press(page, 'Move');
  await expect(dialog(page)).toHaveCount(0);
  await expect(host).toHaveText(other);
  await expect(page.getByText('Active', { exact: true })).toBeVisible();
  await remove(page, 'Instances', 'mover');
});
