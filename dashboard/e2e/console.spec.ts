// Consoles of an instance, against the real cloud.
import { accessible, choose, expect, go, origin, row, setDark, settled, shot, signIn, test } from './page';

test('an instance is launched, its consoles are opened, and one types into them', async ({ page, account }) => {
  await signIn(page, account);
  await go(page, 'Networks');
  await page.getByRole('button', { name: 'Create network' }).first().click();
  await page.getByRole('dialog').getByLabel('Name').fill('console-net');
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
  await expect(row(page, 'console-net')).toContainText('10.10.0.0/24');
  await go(page, 'Instances');
  await page.getByRole('button', { name: 'Launch instance' }).first().click();
  await page.getByLabel('Name').fill('speaker');
  await choose(page, 'Image', /nephos-guest/);
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('radio', { name: 'm1.nano' }).check({ force: true });
  await page.getByRole('button', { name: 'Next' }).click();
  await choose(page, 'Networks', /console-net/);
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('button', { name: 'Launch' }).click();
  await expect(row(page, 'speaker')).toContainText('Active');
  await page.getByRole('link', { name: 'speaker' }).click();
  await page.getByRole('tab', { name: 'Console', exact: true }).click();

  const serial = page.frameLocator('iframe[title="Serial console"]');
  await expect(serial.getByRole('status')).toContainText('Connected');
  await serial.getByRole('textbox', { name: 'Type into the serial console' }).pressSequentially('hello there\n');
  await expect(serial.locator('.xterm-accessibility')).toContainText('The simulated guest speaker heard: hello there');
  await expect(page.getByTestId('command')).toContainText('openstack console url show --serial');
  for (const dark of [false, true]) {
    await setDark(page, dark);
    await settled(page);
    await accessible(page, `console, ${dark ? 'dark' : 'light'}`);
    await shot(page, `instance-console-${dark ? 'dark' : 'light'}`);
  }
  await setDark(page, false);

  await page.getByRole('button', { name: 'Screen' }).click();
  const screen = page.frameLocator('iframe[title="Screen"]');
  await expect(screen.getByRole('status')).toContainText('Connected');
  const canvas = screen.locator('canvas');
  // The simulated screen takes another colour with each key.
  const colour = () => canvas.evaluate((element: HTMLCanvasElement) => [...element.getContext('2d')!.getImageData(5, 5, 1, 1).data].join());
  await expect.poll(colour).not.toBe('0,0,0,0');
  const before = await colour();
  await canvas.click();
  await page.keyboard.press('a');
  await expect.poll(colour).not.toBe(before);
  await settled(page);
  await accessible(page, 'screen');
  await shot(page, 'instance-screen-light');

  // What was typed stands in the log; a link is good once.
  await page.getByRole('tab', { name: 'Console log' }).click();
  await expect(page.getByRole('log')).toContainText('heard: hello there');
  const used = await page.context().newPage();
  await used.goto(`${origin()}/dashboard/console.html?path=compute%2Fconsole%3Ftoken%3D0123456789abcdef`);
  await expect(used.getByRole('status')).toContainText('cannot be reached');
  await used.close();
});
