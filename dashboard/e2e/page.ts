// A page that is watched: whatever breaks the policy or throws fails the test.
import AxeBuilder from '@axe-core/playwright';
import { expect, test as base, type Page } from '@playwright/test';

export const origin = () => process.env.NEPHOS_ORIGIN!;

export const test = base.extend<{ page: Page }>({
  page: async ({ page }, use) => {
    const broken: string[] = [];
    page.on('console', (message) => {
      if (/Content Security Policy|violates the following/i.test(message.text())) broken.push(message.text());
    });
    page.on('pageerror', (why) => broken.push(`error: ${why.message}`));
    await use(page);
    expect(broken).toEqual([]);
  },
});
export { expect };

export async function signIn(page: Page, user: 'demo' | 'admin'): Promise<void> {
  await page.goto(`${origin()}/dashboard/`);
  await page.getByLabel('User name').fill(user);
  await page.getByLabel('Password').fill(user === 'demo' ? process.env.NEPHOS_DEMO! : process.env.NEPHOS_ADMIN!);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
}

export async function setDark(page: Page, dark: boolean): Promise<void> {
  await page.evaluate((dark) => {
    localStorage.setItem('nephos-mode', dark ? 'dark' : 'light');
    document.documentElement.dataset.mode = dark ? 'dark' : 'light';
    document.body.classList.toggle('awsui-dark-mode', dark);
  }, dark);
}

/** Until fonts are there and whatever moves has come to rest; what turns for ever, such as a spinner, does not count. */
export async function settled(page: Page): Promise<void> {
  await page.evaluate(async () => {
    await document.fonts.ready;
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    for (let calm = 0; calm < 3; calm += 1) {
      await frame();
      const moving = document.getAnimations().filter((one) => one.playState === 'running' && Number.isFinite(one.effect?.getComputedTiming().endTime));
      if (moving.length > 0) calm = 0;
      await Promise.allSettled(moving.map((one) => one.finished));
    }
  });
}

/** What axe finds against WCAG 2 A and AA. */
export async function accessible(page: Page, where: string): Promise<void> {
  const found = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']).analyze();
  const lines = found.violations.map((one) => `${where}: ${one.id} (${one.help}): ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' | ')}`);
  expect(lines).toEqual([]);
}

/** Chooses from one of the list fields of a form. */
export async function choose(page: Page, label: string, option: string | RegExp): Promise<void> {
  const scope = (await page.getByRole('dialog').count()) > 0 ? page.getByRole('dialog') : page;
  await scope.getByRole('button', { name: label }).click();
  await page.getByRole('option', { name: option }).first().click();
}
