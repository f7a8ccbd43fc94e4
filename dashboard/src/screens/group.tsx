// One security group: its rules.
import Alert from '@cloudscape-design/components/alert';
import ContentLayout from '@cloudscape-design/components/content-layout';
import Header from '@cloudscape-design/components/header';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import { useState } from 'react';
import { useParams } from 'react-router';
import { wrongCidr, wrongPort } from '../cloud/check';
import { openstack } from '../cloud/cli';
import type { Rule } from '../cloud/kinds';
import { useAsk, useThings } from '../cloud/session';
import { FormDialog, text, type Field, type Values } from '../parts/form';
import { List } from '../parts/list';
import { To } from '../parts/small';

const PROTOCOLS = ['tcp', 'udp', 'icmp', 'any'];
const hasPorts = (values: Values) => values.protocol === 'tcp' || values.protocol === 'udp';
const portsOf = (rule: Rule) => {
  if (rule.port_range_min == null) return 'All';
  return rule.port_range_min === rule.port_range_max ? String(rule.port_range_min) : `${rule.port_range_min}–${rule.port_range_max}`;
};

export function SecurityGroupPage() {
  const { id = '' } = useParams();
  const groups = useThings('security-groups');
  const ask = useAsk();
  const [open, setOpen] = useState(false);
  const group = groups.things.find((group) => group.id === id);
  if (groups.loading) return <StatusIndicator type="loading">Loading the security group</StatusIndicator>;
  if (!group) return <Alert type="info" header="This security group is not there any more">It was deleted, or it is in another project. <To to="/security-groups">All security groups</To></Alert>;
  const nameOf = (id: string) => groups.things.find((one) => one.id === id)?.name ?? id;
  const remote = (rule: Rule) => (rule.remote_group_id ? `Group ${nameOf(rule.remote_group_id)}` : (rule.remote_ip_prefix ?? 'Anywhere'));
  const fields: Field[] = [
    { name: 'direction', label: 'Direction', kind: 'select', initial: 'ingress', choices: [{ value: 'ingress', label: 'In: who may reach it' }, { value: 'egress', label: 'Out: what it may reach' }] },
    { name: 'protocol', label: 'Protocol', kind: 'select', initial: 'tcp', choices: PROTOCOLS.map((value) => ({ value, label: value === 'any' ? 'Any' : value.toUpperCase() })) },
    { name: 'ports', label: 'Port', placeholder: '443', optional: true, hint: 'Without one: every port.', wrong: wrongPort, asked: hasPorts },
    { name: 'remote', label: 'The other side', kind: 'select', initial: 'prefix', choices: [{ value: 'prefix', label: 'A range of addresses' }, ...groups.things.map((group) => ({ value: group.id, label: `Members of ${group.name}` }))] },
    { name: 'prefix', label: 'Range', initial: '0.0.0.0/0', wrong: wrongCidr, asked: (values) => values.remote === 'prefix' },
  ];
  const body = (values: Values) => {
    const [low, high = low] = hasPorts(values) ? text(values, 'ports').split('-').map((part) => part.trim()) : [''];
    const prefix = values.remote === 'prefix' ? text(values, 'prefix') : '';
    return {
      security_group_id: id, direction: text(values, 'direction'), ethertype: prefix.includes(':') ? 'IPv6' : 'IPv4',
      protocol: values.protocol === 'any' ? null : text(values, 'protocol'),
      ...(low && { port_range_min: Number(low), port_range_max: Number(high) }),
      remote_ip_prefix: prefix || null,
      remote_group_id: prefix ? null : text(values, 'remote'),
    };
  };
  return (
    <ContentLayout header={<Header variant="h1" description={group.description}>{group.name}</Header>}>
      <List
        variant="container"
        title="Rules"
        one="rule"
        things={group.security_group_rules}
        loading={false}
        id={(rule) => rule.id}
        name={(rule) => `${rule.direction === 'ingress' ? 'In' : 'Out'} ${rule.ethertype} ${rule.protocol ?? 'any'} ${portsOf(rule)} ${remote(rule)}`}
        create={{ label: 'Add rule', go: () => setOpen(true) }}
        description="What is not allowed is not let through; answers always are."
        columns={[
          { id: 'direction', header: 'Direction', cell: (rule) => (rule.direction === 'ingress' ? 'In' : 'Out'), by: (rule) => rule.direction },
          { id: 'ethertype', header: 'IP', cell: (rule) => rule.ethertype, by: (rule) => rule.ethertype },
          { id: 'protocol', header: 'Protocol', cell: (rule) => rule.protocol?.toUpperCase() ?? 'Any', by: (rule) => rule.protocol ?? '' },
          { id: 'ports', header: 'Ports', cell: portsOf, by: (rule) => rule.port_range_min ?? 0 },
          { id: 'remote', header: 'The other side', cell: remote, by: remote },
        ]}
        actions={[{ id: 'delete', label: 'Delete', danger: 'Connections that only this rule allows are cut.', can: () => true, command: (rule) => openstack('security group rule delete', [], rule.id), run: (rule) => ask('network', `/v2.0/security-group-rules/${rule.id}`, { method: 'DELETE' }) }]}
      />
      {open && (
        <FormDialog
          title={`Add a rule to ${group.name}`}
          button="Add"
          fields={fields}
          close={() => setOpen(false)}
          done="The rule is there"
          command={(values) => {
            const rule = body(values);
            const ports = 'port_range_min' in rule ? `${rule.port_range_min}${rule.port_range_max === rule.port_range_min ? '' : `:${rule.port_range_max}`}` : '';
            return openstack('security group rule create', [[rule.direction, true], ['ethertype', rule.ethertype === 'IPv6' && 'IPv6'], ['protocol', rule.protocol], ['dst-port', ports], ['remote-ip', rule.remote_ip_prefix], ['remote-group', rule.remote_group_id]], group.name);
          }}
          submit={(values) => ask('network', '/v2.0/security-group-rules', { method: 'POST', body: { security_group_rule: body(values) } })}
        />
      )}
    </ContentLayout>
  );
}
