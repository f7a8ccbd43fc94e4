// A stack from its template to its end, against the real cloud.
import type { Page } from '@playwright/test';
import { accessible, expect, go, remove, row, setDark, settled, shot, signIn, test, told } from './page';

const template = (extra = '') => `heat_template_version: 2021-04-16
description: A network of its own.
parameters:
  cidr:
    type: string
    default: 10.60.0.0/24
resources:
  network:
    type: OS::Neutron::Net
  subnet:
    type: OS::Neutron::Subnet
    properties:
      network: {get_resource: network}
      cidr: {get_param: cidr}
${extra}outputs:
  network_id:
    description: The network's id.
    value: {get_resource: network}
`;

/** Puts a template into the editor as people do: everything away, and pasted. */
async function write(page: Page, text: string): Promise<void> {
  const editor = page.getByRole('textbox', { name: 'Template' });
  await editor.press('Control+a');
  await editor.press('Delete');
  await editor.evaluate((element, text) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData('text/plain', text);
    element.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true, composed: true }));
  }, text);
}

test('a stack is made from a template, changed as the preview said, and deleted with all that is in it', async ({ page, account }) => {
  const both = async (name: string) => {
    for (const dark of [false, true]) {
      await setDark(page, dark);
      await settled(page);
      await accessible(page, `${name}, ${dark ? 'dark' : 'light'}`);
      await shot(page, `${name}-${dark ? 'dark' : 'light'}`);
    }
    await setDark(page, false);
  };
  const documents: string[] = [];
  await signIn(page, account);
  page.on('request', (request) => request.resourceType() === 'document' && documents.push(request.url()));
  await go(page, 'Stacks');
  await page.getByRole('button', { name: 'Create stack' }).first().click();
  await write(page, 'heat_template_version: 2021-04-16\nresources:\n  network: {type: OS::Neutron::Net\n  subnet: 1\n');
  await page.getByRole('button', { name: 'Next' }).click();
  await told(page, /The template is not right: line \d+, column \d+/);
  await both('stack-mistake');
  await write(page, template());
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByLabel('Stack name').fill('day-stack');
  await page.getByLabel(/^cidr/).fill('10.61.0.0/24');
  await both('stack-parameters');
  await page.getByRole('button', { name: 'Next' }).click();
  await expect(page.getByTestId('command')).toHaveText('openstack stack create --template FILE --parameter cidr=10.61.0.0/24 day-stack');
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  await expect(row(page, 'OS::Neutron::Subnet')).toContainText('Create complete');
  await expect(page.locator('.node.resource.good')).toHaveCount(2);
  await page.getByRole('tab', { name: 'Summary' }).click();
  await expect(row(page, 'network_id')).toContainText(/[0-9a-f]{8}-/);
  await expect(row(page, 'cidr')).toContainText('10.61.0.0/24');
  await both('stack');

  await page.getByRole('button', { name: 'Update', exact: true }).click();
  await write(page, template('  router:\n    type: OS::Neutron::Router\n').replace('OS::Neutron::Net\n', 'OS::Neutron::Net\n    properties: {name: day-stack-net}\n'));
  await page.getByRole('button', { name: 'Next' }).click();
  await expect(page.getByLabel(/^cidr/)).toHaveValue('10.61.0.0/24');
  await page.getByRole('button', { name: 'Next' }).click();
  const diff = page.getByRole('list', { name: 'What the update would do' });
  await expect(diff.getByRole('listitem')).toHaveCount(2);
  await expect(diff.getByRole('listitem').filter({ hasText: 'router' })).toContainText('Is made');
  await expect(diff.getByRole('listitem').filter({ hasText: 'day-stack-net' })).toContainText('Is changed in place');
  await both('stack-diff');
  await page.getByRole('button', { name: 'Apply the update' }).click();
  await expect(row(page, 'OS::Neutron::Router')).toContainText('Create complete');
  await expect(page.locator('.node.resource.good')).toHaveCount(3);
  await both('stack-resources');
  await page.getByRole('tab', { name: 'Events' }).click();
  await expect(row(page, 'Update complete').first()).toBeVisible();
  await both('stack-events');
  await page.getByRole('tab', { name: 'Template' }).click();
  await expect(page.getByRole('textbox', { name: 'Template' })).toContainText('OS::Neutron::Router');
  await both('stack-template');
  await go(page, 'Stacks');
  await expect(row(page, 'day-stack')).toContainText('Update complete');
  await both('stacks');
  await remove(page, 'Stacks', 'day-stack');
  await go(page, 'Networks');
  await expect(row(page, 'public')).toBeVisible();
  await expect(row(page, 'day-stack-net')).toHaveCount(0);
  expect(documents, 'nothing was loaded anew').toEqual([]);
});

test('a stack that fails says why, and can be deleted', async ({ page, account }) => {
  await signIn(page, account);
  await go(page, 'Stacks');
  await page.getByRole('button', { name: 'Create stack' }).first().click();
  await write(page, 'heat_template_version: 2021-04-16\nresources:\n  subnet:\n    type: OS::Neutron::Subnet\n    properties: {network: 11111111-2222-4333-8444-555555555555, cidr: 10.62.0.0/24}\n');
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByLabel('Stack name').fill('bad-stack');
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  await told(page, 'Why it failed');
  await expect(page.getByRole('button', { name: 'Update', exact: true })).toBeEnabled();
  await remove(page, 'Stacks', 'bad-stack');
});
