// A page that is watched: whatever breaks the policy or throws fails the test.
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import AxeBuilder from '@axe-core/playwright';
import { expect, test as base, type Page } from '@playwright/test';
import { Operator } from './cloud';

export const origin = () => process.env.NEPHOS_ORIGIN!;

/** Somebody with a project of their own: what one test leaves behind is no other's business. */
export interface Account {
  user: string;
  password: string;
  project: string;
}

export const test = base.extend<{ page: Page; account: Account }>({
  account: async ({}, use) => {
    const cloud = await Operator.signIn(origin(), process.env.NEPHOS_ADMIN!);
    const name = `dana-${randomUUID().slice(0, 8)}`;
    const password = randomUUID();
    const { project } = await cloud.call<{ project: { id: string } }>('POST', '/identity/v3/projects', { project: { name, domain_id: 'default' } });
    const { user } = await cloud.call<{ user: { id: string } }>('POST', '/identity/v3/users', { user: { name, password, domain_id: 'default', default_project_id: project.id } });
    const { roles } = await cloud.call<{ roles: { id: string }[] }>('GET', '/identity/v3/roles?name=member');
    await cloud.call('PUT', `/identity/v3/projects/${project.id}/users/${user.id}/roles/${roles[0]!.id}`);
    await use({ user: name, password, project: name });
  },
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

export const admin = () => ({ user: 'admin', password: process.env.NEPHOS_ADMIN! });

export async function signIn(page: Page, { user, password }: Pick<Account, 'user' | 'password'>): Promise<void> {
  await page.goto(`${origin()}/dashboard/`);
  await page.getByLabel('User name').fill(user);
  await page.getByLabel('Password').fill(password);
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

/**
 * What axe finds against WCAG 2 A and AA. News may come in and fade while it looks, so what it finds has to be there at a
 * second look, too.
 */
export async function accessible(page: Page, where: string): Promise<void> {
  let lines = await violations(page, where);
  if (lines.length > 0) {
    await settled(page);
    lines = await violations(page, where);
  }
  expect(lines).toEqual([]);
}

async function violations(page: Page, where: string): Promise<string[]> {
  const found = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']).analyze();
  return found.violations.map((one) => `${where}: ${one.id} (${one.help}): ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' | ')}`);
}

/** Chooses from one of the list fields of a form. */
export async function choose(page: Page, label: string, option: string | RegExp): Promise<void> {
  const scope = (await page.getByRole('dialog').count()) > 0 ? page.getByRole('dialog') : page;
  // Its name is the label and what is chosen.
  await scope.getByRole('button', { name: new RegExp(`^${label}`) }).click();
  await page.getByRole('option', { name: option }).first().click();
}

export const row = (page: Page, name: string | RegExp) => page.getByRole('row').filter({ hasText: name });
export const go = (page: Page, name: string) => page.getByRole('navigation', { name: 'Navigation' }).getByRole('link', { name, exact: true }).click();
export const told = (page: Page, text: string | RegExp) => expect(page.getByText(text).first()).toBeVisible();

export async function remove(page: Page, list: string, name: string, button = 'Delete'): Promise<void> {
  await go(page, list);
  await page.getByRole('checkbox', { name: `Select ${name}` }).check({ force: true });
  await page.getByRole('button', { name: 'Actions' }).first().click();
  await page.getByRole('menuitem', { name: button, exact: true }).click();
  await page.getByRole('dialog').getByRole('button', { name: button }).click();
  await expect(page.getByRole('checkbox', { name: `Select ${name}` })).toHaveCount(0);
}

/** A picture for docs/screens, if they are taken. */
export async function shot(page: Page, name: string): Promise<void> {
  if (!process.env.SCREENS) return;
  const folder = '../docs/screens';
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: `${folder}/${name}.png` });
}
