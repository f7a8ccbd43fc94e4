// What somebody does on a first day, in one browser, against the real cloud.
import { choose, expect, go, origin, remove, row, signIn, test, told } from './page';

test('a wrong password is refused in words, and the right one opens the project', async ({ page, account }) => {
  await page.goto(`${origin()}/dashboard/`);
  await page.getByLabel('User name').fill(account.user);
  await page.getByLabel('Password').fill('wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await told(page, /password is not right/);
  await signIn(page, account);
  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage, cookie: document.cookie }));
  expect(kept).not.toMatch(/eyJ|token/i);
});

test('a network with router, a server that becomes active by itself, a floating IP; and all of it goes again', async ({ page, account }) => {
  await signIn(page, account);
  let loads = 0;
  page.on('framenavigated', (frame) => (loads += Number(frame === page.mainFrame() && frame.url().startsWith('http'))));
  const documents: string[] = [];
  page.on('request', (request) => request.resourceType() === 'document' && documents.push(request.url()));

  await go(page, 'Networks');
  await page.getByRole('button', { name: 'Create network' }).first().click();
  await page.getByRole('dialog').getByLabel('Name').fill('day-net');
  await expect(page.getByTestId('command')).toContainText('openstack network create day-net');
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await expect(row(page, 'day-net')).toContainText('10.10.0.0/24');

  await go(page, 'Routers');
  await page.getByRole('button', { name: 'Create router' }).first().click();
  await page.getByRole('dialog').getByLabel('Name').fill('day-router');
  await expect(page.getByTestId('command')).toHaveText('openstack router create --external-gateway public day-router');
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await page.getByRole('link', { name: 'day-router' }).click();
  await page.getByRole('button', { name: 'Connect subnet' }).first().click();
  await choose(page, 'Subnet', /day-net-subnet/);
  await page.getByRole('dialog').getByRole('button', { name: 'Connect' }).click();
  await expect(row(page, 'day-net')).toContainText('10.10.0.1');

  await go(page, 'Instances');
  await page.getByRole('button', { name: 'Launch instance' }).first().click();
  await page.getByLabel('Name').fill('day-1');
  await choose(page, 'Image', /nephos-guest/);
  await page.getByRole('button', { name: 'Next' }).click();
  await told(page, /Your quota has 20 vCPUs left; this needs 128/);
  await told(page, 'Fits on a host now');
  await page.getByRole('radio', { name: 'm1.nano' }).check({ force: true });
  await page.getByRole('button', { name: 'Next' }).click();
  await choose(page, 'Networks', /day-net/);
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('button', { name: 'Next' }).click();
  await expect(page.getByTestId('command')).toHaveText('openstack server create --image nephos-guest --flavor m1.nano --network day-net day-1');
  await page.getByRole('button', { name: 'Launch' }).click();
  await expect(row(page, 'day-1')).toContainText('Active');

  await page.getByRole('checkbox', { name: 'Select day-1' }).check({ force: true });
  await page.getByRole('button', { name: 'Actions' }).click();
  await expect(page.getByRole('menuitem', { name: /^Start/ })).toHaveAttribute('aria-disabled', 'true');
  await page.getByRole('menuitem', { name: 'Stop' }).click();
  await expect(row(page, 'day-1')).toContainText('Shutoff');

  await page.getByRole('link', { name: 'day-1' }).click();
  await page.getByRole('tab', { name: 'Timeline' }).click();
  await expect(row(page, 'Stop')).toContainText('req-');
  await page.getByRole('tab', { name: 'Interfaces' }).click();
  await expect(row(page, 'day-net')).toContainText('10.10.0.');
  await page.getByRole('tab', { name: 'Console log' }).click();
  await expect(page.getByRole('log')).toBeVisible();

  await go(page, 'Floating IPs');
  await page.getByRole('button', { name: 'Allocate floating IP' }).first().click();
  await choose(page, 'For', /day-1/);
  await page.getByRole('dialog').getByRole('button', { name: 'Allocate' }).click();
  await expect(row(page, 'day-1')).toContainText('172.24.4.');
  const address = (await row(page, 'day-1').innerText()).match(/172\.24\.4\.\d+/)![0];

  await go(page, 'Topology');
  await expect(page.locator('.node.server')).toContainText(address);
  await expect(page.locator('.react-flow__edge')).toHaveCount(3);

  await remove(page, 'Floating IPs', address, 'Release');
  await remove(page, 'Instances', 'day-1');
  await go(page, 'Routers');
  await page.getByRole('link', { name: 'day-router' }).click();
  await page.getByRole('checkbox', { name: /Select 10\.10\.0\.1/ }).check({ force: true });
  await page.getByRole('button', { name: 'Actions' }).first().click();
  await page.getByRole('menuitem', { name: 'Disconnect' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Disconnect' }).click();
  await told(page, 'It connects no subnet yet.');
  await remove(page, 'Routers', 'day-router');
  await remove(page, 'Networks', 'day-net');
  expect(documents, 'nothing was loaded anew').toEqual([]);
  expect(loads).toBeGreaterThan(0);
});

test('what somebody else does appears without a reload', async ({ page, account, browser }) => {
  await signIn(page, account);
  await go(page, 'Security groups');
  await expect(row(page, 'Default security group')).toBeVisible();
  const other = await browser.newPage();
  await signIn(other, account);
  await go(other, 'Security groups');
  await other.getByRole('button', { name: 'Create security group' }).first().click();
  await other.getByRole('dialog').getByLabel('Name').fill('from-elsewhere');
  await other.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await expect(row(page, 'from-elsewhere')).toBeVisible();
  await other.close();
  await remove(page, 'Security groups', 'from-elsewhere');
});

test('a session that ends in the middle of a form loses nothing', async ({ page, account, context }) => {
  await signIn(page, account);
  await go(page, 'Security groups');
  await page.getByRole('button', { name: 'Create security group' }).first().click();
  await page.getByRole('dialog').getByLabel('Name').fill('kept');
  await context.clearCookies();
  const dialog = page.getByRole('dialog', { name: 'Your session has ended' });
  // Whoever asks first finds out: this button, or a list that looks again by itself and puts the dialog over it.
  await page.getByRole('button', { name: 'Create', exact: true }).dispatchEvent('click');
  await dialog.getByLabel('Password').fill(account.password);
  await dialog.getByRole('button', { name: 'Sign in' }).click();
  await expect(dialog).toHaveCount(0);
  await expect(page.getByRole('dialog').getByLabel('Name')).toHaveValue('kept');
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await expect(row(page, 'kept')).toBeVisible();
  await remove(page, 'Security groups', 'kept');
});

test('an image is uploaded and deleted', async ({ page, account }) => {
  await signIn(page, account);
  await go(page, 'Images');
  await page.getByRole('button', { name: 'Upload image' }).first().click();
  await page.locator('input[type=file]').setInputFiles({ name: 'disk.raw', mimeType: 'application/octet-stream', buffer: Buffer.alloc(3_000_000) });
  await expect(page.getByTestId('command')).toHaveText('openstack image create --disk-format raw --container-format bare --file disk.raw disk');
  await page.getByRole('dialog').getByRole('button', { name: 'Upload', exact: true }).click();
  await expect(row(page, 'disk')).toContainText('Active');
  await expect(row(page, 'disk')).toContainText('2.9 MiB');
  await remove(page, 'Images', 'disk');
});

test('signing out ends it', async ({ page, account }) => {
  await signIn(page, account);
  await page.getByRole('button', { name: `User ${account.user}` }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await expect(page.getByLabel('User name')).toBeVisible();
  await page.goBack();
  await expect(page.getByLabel('User name')).toBeVisible();
});
