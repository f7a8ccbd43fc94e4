// The lists of the cloud: where each is, and what the dashboard reads of its things.

export interface Server {
  id: string; name: string; status: string; created: string; updated: string; tenant_id: string; user_id: string; key_name: string | null; locked: boolean;
  host_status?: string; description?: string | null;
  flavor: { original_name: string; vcpus: number; ram: number; disk: number };
  image: { id: string } | '';
  addresses: Record<string, { addr: string; version: number; 'OS-EXT-IPS:type': string; 'OS-EXT-IPS-MAC:mac_addr': string }[]>;
  security_groups?: { name: string }[];
  fault?: { code: number; message: string; created: string };
  metadata: Record<string, string>;
  'OS-EXT-STS:task_state': string | null; 'OS-EXT-STS:vm_state': string; 'OS-EXT-STS:power_state': number;
  'OS-EXT-AZ:availability_zone': string; 'OS-EXT-SRV-ATTR:host'?: string | null;
  'os-extended-volumes:volumes_attached': { id: string; delete_on_termination: boolean }[];
}
export interface Flavor { id: string; name: string; vcpus: number; ram: number; disk: number; 'os-flavor-access:is_public': boolean; description?: string | null; extra_specs?: Record<string, string> }
export interface Image { id: string; name: string | null; status: string; size: number | null; min_disk: number; min_ram: number; visibility: string; owner: string; disk_format: string | null; created_at: string; protected: boolean }
export interface Network { id: string; name: string; status: string; subnets: string[]; shared: boolean; admin_state_up: boolean; 'router:external': boolean; project_id: string; mtu: number; port_security_enabled?: boolean; is_default?: boolean }
export interface Subnet { id: string; name: string; network_id: string; cidr: string; ip_version: number; gateway_ip: string | null; enable_dhcp: boolean; dns_nameservers: string[]; project_id: string; allocation_pools: { start: string; end: string }[] }
export interface Port { id: string; name: string; network_id: string; device_id: string; device_owner: string; mac_address: string; status: string; fixed_ips: { subnet_id: string; ip_address: string }[]; security_groups: string[]; project_id: string }
export interface Router { id: string; name: string; status: string; admin_state_up: boolean; project_id: string; external_gateway_info: null | { network_id: string; external_fixed_ips?: { ip_address: string }[]; enable_snat?: boolean } }
export interface FloatingIp { id: string; floating_ip_address: string; fixed_ip_address: string | null; port_id: string | null; floating_network_id: string; status: string; description: string; project_id: string }
export interface Rule { id: string; direction: string; ethertype: string; protocol: string | null; port_range_min: number | null; port_range_max: number | null; remote_ip_prefix: string | null; remote_group_id: string | null; description: string }
export interface SecurityGroup { id: string; name: string; description: string; project_id: string; security_group_rules: Rule[] }
export interface KeyPair { keypair: { name: string; fingerprint: string; type?: string; public_key: string } }
export interface Project { id: string; name: string; domain_id: string; description: string; enabled: boolean; is_domain: boolean }
export interface User { id: string; name: string; domain_id: string; enabled: boolean; default_project_id?: string | null; description?: string }
export interface Host { id: string; hypervisor_hostname: string; state: string; status: string; hypervisor_type: string; host_ip: string; service: { id: string; host: string; disabled_reason: string | null }; uptime: string | null }

export interface Stack {
  id: string; stack_name: string; description: string; stack_status: string; stack_status_reason: string; creation_time: string; updated_time: string | null; stack_owner?: string; tags: string[] | null; parent: string | null;
  parameters?: Record<string, unknown>; outputs?: { output_key: string; description: string; output_value: unknown; output_error?: string }[]; timeout_mins?: number | null; disable_rollback?: boolean;
}
export interface StackResource { resource_name: string; resource_type: string; resource_status: string; resource_status_reason: string; physical_resource_id: string; creation_time: string; updated_time: string; required_by?: string[]; links: { href: string; rel: string }[] }
export interface StackEvent { id: string; resource_name: string; resource_status: string; resource_status_reason: string; event_time: string; physical_resource_id: string | null }
export interface Container { name: string; count: number; bytes: number; last_modified: string }
export type Entry = { subdir: string } | { name: string; hash: string; bytes: number; content_type: string; last_modified: string };

export interface Volume {
  id: string; name: string | null; description: string | null; status: string; size: number; volume_type: string | null; bootable: string; multiattach: boolean; availability_zone: string; group_id?: string | null;
  attachments: { server_id: string; device: string; attached_at: string | null }[]; snapshot_id: string | null; source_volid: string | null; metadata: Record<string, string>; created_at: string; updated_at: string | null;
  volume_image_metadata?: Record<string, string>; 'os-vol-host-attr:host'?: string | null;
}
export interface Snapshot { id: string; name: string | null; description: string | null; volume_id: string; status: string; size: number; created_at: string; group_snapshot_id?: string | null }
export interface Backup { id: string; name: string | null; description: string | null; volume_id: string; status: string; size: number; created_at: string; is_incremental: boolean; has_dependent_backups: boolean; fail_reason: string | null; snapshot_id: string | null }
export interface VolumeType { id: string; name: string; description: string | null; is_public: boolean; extra_specs?: Record<string, string>; qos_specs_id?: string | null }

export interface Things {
  servers: Server; flavors: Flavor; images: Image; networks: Network; subnets: Subnet; ports: Port; routers: Router; floatingips: FloatingIp;
  'security-groups': SecurityGroup; keypairs: KeyPair; projects: Project; users: User; hosts: Host; stacks: Stack; containers: Container;
  volumes: Volume; snapshots: Snapshot; backups: Backup; 'volume-types': VolumeType;
}
export type Kind = keyof Things;

/** The newest versions that the pages are written for. */
export const COMPUTE = 'compute 2.96';
export const VOLUME = 'volume 3.67';

/** Where each list is; `{project}` is the project's id, and an empty key says that the answer is the list. */
export const LISTS: Record<Kind, { service: string; path: string; key: string; version?: string }> = {
  servers: { service: 'compute', path: '/v2.1/servers/detail?limit=1000', key: 'servers', version: COMPUTE },
  flavors: { service: 'compute', path: '/v2.1/flavors/detail', key: 'flavors', version: COMPUTE },
  keypairs: { service: 'compute', path: '/v2.1/os-keypairs', key: 'keypairs', version: COMPUTE },
  hosts: { service: 'compute', path: '/v2.1/os-hypervisors/detail', key: 'hypervisors', version: COMPUTE },
  images: { service: 'image', path: '/v2/images?limit=1000', key: 'images' },
  networks: { service: 'network', path: '/v2.0/networks?limit=1000', key: 'networks' },
  subnets: { service: 'network', path: '/v2.0/subnets?limit=1000', key: 'subnets' },
  ports: { service: 'network', path: '/v2.0/ports?limit=1000', key: 'ports' },
  routers: { service: 'network', path: '/v2.0/routers?limit=1000', key: 'routers' },
  floatingips: { service: 'network', path: '/v2.0/floatingips?limit=1000', key: 'floatingips' },
  'security-groups': { service: 'network', path: '/v2.0/security-groups?limit=1000', key: 'security_groups' },
  stacks: { service: 'orchestration', path: '/v1/{project}/stacks?limit=1000', key: 'stacks' },
  containers: { service: 'object', path: '/v1/AUTH_{project}?format=json&limit=1000', key: '' },
  volumes: { service: 'block', path: '/v3/{project}/volumes/detail?limit=1000', key: 'volumes', version: VOLUME },
  snapshots: { service: 'block', path: '/v3/{project}/snapshots/detail?limit=1000', key: 'snapshots', version: VOLUME },
  backups: { service: 'block', path: '/v3/{project}/backups/detail?limit=1000', key: 'backups', version: VOLUME },
  'volume-types': { service: 'block', path: '/v3/{project}/types?is_public=None', key: 'volume_types', version: VOLUME },
  projects: { service: 'identity', path: '/v3/projects', key: 'projects' },
  users: { service: 'identity', path: '/v3/users', key: 'users' },
};
