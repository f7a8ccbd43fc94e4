// What stands around every page: navigation, project switch, news.
import AppLayout from '@cloudscape-design/components/app-layout';
import BreadcrumbGroup from '@cloudscape-design/components/breadcrumb-group';
import SideNavigation, { type SideNavigationProps } from '@cloudscape-design/components/side-navigation';
import TopNavigation from '@cloudscape-design/components/top-navigation';
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState, type ReactNode } from 'react';
import { useHref, useLocation, useNavigate } from 'react-router';
import { own } from './cloud/api';
import { BLOCK, useHere } from './cloud/session';
import { NewsBar, useNews } from './parts/news';

interface Page {
  path: string;
  text: string;
  /** The type of the service that must be in the catalog. */
  service?: string;
}
/** Pages appear with their services. */
const PAGES: { group: string; admin?: boolean; pages: Page[] }[] = [
  { group: 'Compute', pages: [{ path: '/instances', text: 'Instances', service: 'compute' }, { path: '/images', text: 'Images', service: 'image' }, { path: '/keypairs', text: 'Key pairs', service: 'compute' }] },
  {
    group: 'Network',
    pages: [
      { path: '/topology', text: 'Topology', service: 'network' }, { path: '/networks', text: 'Networks', service: 'network' }, { path: '/routers', text: 'Routers', service: 'network' },
      { path: '/security-groups', text: 'Security groups', service: 'network' }, { path: '/floating-ips', text: 'Floating IPs', service: 'network' },
    ],
  },
  { group: 'Block storage', pages: [{ path: '/volumes', text: 'Volumes', service: BLOCK }, { path: '/snapshots', text: 'Snapshots', service: BLOCK }, { path: '/backups', text: 'Backups', service: BLOCK }] },
  { group: 'Object storage', pages: [{ path: '/containers', text: 'Containers', service: 'object-store' }] },
  { group: 'Orchestration', pages: [{ path: '/stacks', text: 'Stacks', service: 'orchestration' }] },
  {
    group: 'Administration', admin: true,
    pages: [{ path: '/admin/projects', text: 'Projects and quotas' }, { path: '/admin/users', text: 'Users' }, { path: '/admin/flavors', text: 'Flavors', service: 'compute' }, { path: '/admin/volume-types', text: 'Volume types', service: BLOCK }, { path: '/admin/hosts', text: 'Hosts', service: 'compute' }],
  },
];

const CRUMBS: Record<string, string> = { launch: 'Launch', create: 'Create', update: 'Update' };
const lastCrumb = (path: string) => CRUMBS[path.split('/').pop() ?? ''] ?? 'Details';

export function setMode(dark: boolean): void {
  localStorage.setItem('nephos-mode', dark ? 'dark' : 'light');
  document.documentElement.dataset.mode = dark ? 'dark' : 'light';
  document.body.classList.toggle('awsui-dark-mode', dark);
}

export function Frame({ children }: { children: ReactNode }) {
  const { session, project, isAdmin, services } = useHere();
  const navigate = useNavigate();
  const { pathname } = useLocation();
  const root = useHref(`/p/${project.id}`);
  const [open, setOpen] = useState(() => innerWidth > 900);
  const [dark, setDark] = useState(document.documentElement.dataset.mode === 'dark');
  const news = useNews();
  const queries = useQueryClient();
  const below = pathname.slice(`/p/${project.id}`.length);
  const shown = PAGES.filter((group) => !group.admin || isAdmin).map((group) => ({ ...group, pages: group.pages.filter((page) => !page.service || services.has(page.service)) }));
  const pages = shown.flatMap((group) => group.pages);
  const active = pages.find((page) => below.startsWith(page.path));
  useEffect(() => {
    document.title = `${active?.text ?? 'Overview'} · ${project.name} · Nephos`;
  }, [active, project.name]);
  const follow = (event: { preventDefault: () => void; detail: { href?: string } }) => {
    const href = event.detail.href;
    if (!href?.startsWith(root)) return;
    event.preventDefault();
    void navigate(`/p/${project.id}${href.slice(root.length)}`);
  };
  const switchMode = () => {
    setMode(!dark);
    setDark(!dark);
  };
  const signOut = async () => {
    try {
      await own('/session', { method: 'DELETE' });
      queries.clear();
      location.assign('/dashboard/');
    } catch (why) {
      news.fail('Sign out', why);
    }
  };
  const items: SideNavigationProps.Item[] = [
    { type: 'link', text: 'Overview', href: `${root}/` },
    ...shown.filter((group) => group.pages.length > 0).map((group): SideNavigationProps.Item => ({
      type: 'section', text: group.group, items: group.pages.map((page) => ({ type: 'link', text: page.text, href: root + page.path })),
    })),
  ];
  const crumbs = [{ text: project.name, href: `${root}/` }];
  if (active) crumbs.push({ text: active.text, href: root + active.path });
  if (active && below.length > active.path.length + 1) crumbs.push({ text: lastCrumb(below), href: root + below });
  return (
    <>
      <header id="top">
        <TopNavigation
          identity={{ href: `${root}/`, title: 'Nephos', logo: { src: '/dashboard/icon.svg', alt: '' }, onFollow: (event) => { event.preventDefault(); void navigate(`/p/${project.id}`); } }}
          utilities={[
            {
              type: 'menu-dropdown', text: project.name, ariaLabel: `Project ${project.name}`, iconName: 'folder',
              items: session.projects.map(({ id, name, description }) => ({ id, text: name, description: description || undefined })),
              onItemClick: ({ detail }) => void navigate(`/p/${detail.id}${/^\/[^/]*$/.test(below) ? below : ''}`),
            },
            { type: 'button', text: dark ? 'Light' : 'Dark', ariaLabel: dark ? 'Switch to light' : 'Switch to dark', onClick: switchMode },
            {
              type: 'menu-dropdown', text: session.user.name, ariaLabel: `User ${session.user.name}`, iconName: 'user-profile', description: session.user.domain,
              items: [{ id: 'out', text: 'Sign out' }],
              onItemClick: () => void signOut(),
            },
          ]}
        />
      </header>
      <AppLayout
        headerSelector="#top"
        toolsHide
        navigationOpen={open}
        onNavigationChange={({ detail }) => setOpen(detail.open)}
        navigationWidth={230}
        navigation={<SideNavigation header={{ text: project.name, href: `${root}/` }} activeHref={active ? root + active.path : `${root}/`} items={items} onFollow={follow} />}
        breadcrumbs={<BreadcrumbGroup items={crumbs} onFollow={follow} ariaLabel="Where you are" />}
        notifications={<NewsBar />}
        stickyNotifications
        content={children}
        contentType={active && below === active.path ? 'table' : 'default'}
        ariaLabels={{ navigation: 'Navigation', navigationClose: 'Close the navigation', navigationToggle: 'Open the navigation', notifications: 'News' }}
      />
    </>
  );
}
