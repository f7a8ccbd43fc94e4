// Object storage, against the real cloud.
import { readFileSync } from 'node:fs';
import { accessible, expect, go, origin, remove, row, setDark, settled, shot, signIn, test } from './page';

test('files go into a container, into folders, out again, and to everybody if one wants so', async ({ page, account, request }) => {
  const both = async (name: string) => {
    for (const dark of [false, true]) {
      await setDark(page, dark);
      await settled(page);
      await accessible(page, `${name}, ${dark ? 'dark' : 'light'}`);
      await shot(page, `${name}-${dark ? 'dark' : 'light'}`);
    }
    await setDark(page, false);
  };
  await signIn(page, account);
  const project = /\/p\/([^/]+)/.exec(page.url())![1]!;
  await go(page, 'Containers');
  await page.getByRole('button', { name: 'Create container' }).first().click();
  await page.getByRole('dialog').getByLabel('Name').fill('photos & more');
  await expect(page.getByTestId('command')).toHaveText("openstack container create 'photos & more'");
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await page.getByRole('link', { name: 'photos & more' }).click();

  const upload = async (name: string, buffer: Buffer) => {
    await page.getByRole('button', { name: 'Upload', exact: true }).first().click();
    const dialog = page.getByRole('dialog');
    await dialog.locator('input[type=file]').setInputFiles({ name, mimeType: 'text/plain', buffer });
    await dialog.getByRole('button', { name: 'Upload', exact: true }).click();
    await expect(row(page, name)).toBeVisible();
  };
  const bytes = Buffer.alloc(3_000_000, 'clouds ');
  await upload('sky ü.txt', bytes);
  await expect(row(page, 'sky ü.txt')).toContainText('2.9 MiB');
  await page.getByRole('button', { name: 'Create folder' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('2026');
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await page.getByRole('button', { name: 'Open folder 2026' }).click();
  await upload('inner.txt', Buffer.from('inside'));
  await page.getByRole('navigation', { name: 'Folder' }).getByRole('link', { name: 'photos & more' }).click();
  await expect(row(page, '2026')).toContainText('Folder');
  await expect(row(page, 'inner.txt')).toHaveCount(0);

  const saving = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Download sky ü.txt' }).click();
  expect(readFileSync(await (await saving).path()).equals(bytes)).toBe(true);

  await page.getByRole('checkbox', { name: 'Select sky ü.txt' }).check({ force: true });
  await page.getByRole('button', { name: 'Actions' }).click();
  await page.getByRole('menuitem', { name: 'Metadata' }).click();
  await page.getByRole('dialog').getByLabel('Metadata').fill('colour=blue');
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('dialog')).toHaveCount(0);

  const outside = `${origin()}/object/v1/AUTH_${project}/${encodeURIComponent('photos & more')}/${encodeURIComponent('sky ü.txt')}`;
  expect((await request.get(outside)).status()).toBe(401);
  await page.getByRole('button', { name: 'Make public' }).click();
  await expect(page.getByText('Everybody', { exact: true })).toBeVisible();
  await both('container');
  const answer = await request.get(outside);
  expect([answer.status(), answer.headers()['x-object-meta-colour']]).toEqual([200, 'blue']);
  await page.getByRole('button', { name: 'Make private' }).click();
  await expect(page.getByText('This project', { exact: true })).toBeVisible();
  expect((await request.get(outside)).status()).toBe(401);

  await go(page, 'Containers');
  await both('containers');
  await page.getByRole('checkbox', { name: 'Select photos & more' }).check({ force: true });
  await page.getByRole('button', { name: 'Actions' }).click();
  await expect(page.getByRole('menuitem', { name: 'Delete' })).toHaveAttribute('aria-disabled', 'true');
  await page.keyboard.press('Escape');
  await page.getByRole('link', { name: 'photos & more' }).click();
  const drop = async (name: string) => {
    await page.getByRole('checkbox', { name: `Select ${name}`, exact: true }).check({ force: true });
    await page.getByRole('button', { name: 'Actions' }).click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await expect(page.getByRole('checkbox', { name: `Select ${name}`, exact: true })).toHaveCount(0);
  };
  await drop('sky ü.txt');
  await page.getByRole('button', { name: 'Open folder 2026' }).click();
  await drop('inner.txt');
  await page.getByRole('navigation', { name: 'Folder' }).getByRole('link', { name: 'photos & more' }).click();
  await drop('2026');
  await go(page, 'Containers');
  await expect(row(page, 'photos & more')).toContainText('0 B');
  await remove(page, 'Containers', 'photos & more');
});
