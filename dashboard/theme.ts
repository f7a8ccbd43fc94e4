// The face of the dashboard: our own tokens, written at build time as a style sheet of its own, because a page whose
// policy forbids inline styles cannot do it at run time.
import { mkdirSync, writeFileSync } from 'node:fs';
import { generateThemeStylesheet } from '@cloudscape-design/theming-runtime';
// The preset is not among the package's exports, so it is read by its path.
import { preset } from './node_modules/@cloudscape-design/components/internal/generated/theming/index.js';

const both = (light: string, dark: string) => ({ light, dark });
const accent = both('#0b6b6b', '#4fd1c0');
const accentHover = both('#084f4f', '#86e3d6');

const tokens = {
  fontFamilyBase: "'Inter Variable', system-ui, sans-serif",
  fontFamilyHeading: "'Inter Variable', system-ui, sans-serif",
  fontFamilyDisplay: "'Inter Variable', system-ui, sans-serif",
  colorBackgroundButtonPrimaryDefault: accent,
  colorBackgroundButtonPrimaryHover: accentHover,
  colorBackgroundButtonPrimaryActive: accentHover,
  colorBorderButtonPrimaryDefault: accent,
  colorBorderButtonPrimaryHover: accentHover,
  colorBorderButtonPrimaryActive: accentHover,
  colorTextButtonPrimaryDefault: both('#ffffff', '#06211f'),
  colorTextButtonPrimaryHover: both('#ffffff', '#06211f'),
  colorTextButtonPrimaryActive: both('#ffffff', '#06211f'),
  colorTextButtonNormalDefault: accent,
  colorTextButtonNormalHover: accentHover,
  colorTextButtonNormalActive: accentHover,
  colorBorderButtonNormalDefault: accent,
  colorBorderButtonNormalHover: accentHover,
  colorBorderButtonNormalActive: accentHover,
  colorBackgroundButtonNormalHover: both('#e8f4f3', '#12302e'),
  colorBackgroundButtonNormalActive: both('#d3eae8', '#184340'),
  colorTextLinkDefault: accent,
  colorTextLinkHover: accentHover,
  colorTextLinkButtonNormalDefault: accent,
  colorTextLinkButtonNormalHover: accentHover,
  colorTextLinkButtonNormalActive: accentHover,
  colorTextAccent: accent,
  colorBackgroundControlChecked: accent,
  colorBackgroundToggleCheckedDefault: accent,
  colorForegroundControlDefault: both('#ffffff', '#06211f'),
  colorBorderItemSelected: accent,
  colorBorderItemFocused: accent,
  colorBorderInputFocused: accent,
  colorBackgroundSegmentActive: accent,
  colorTextSegmentActive: both('#ffffff', '#06211f'),
  colorTextSegmentHover: accent,
  colorBorderSegmentActive: accent,
  colorBackgroundItemSelected: both('#eef7f6', '#10302d'),
  colorBackgroundProgressBarValueDefault: accent,
  borderRadiusButton: '6px',
  borderRadiusContainer: '8px',
  borderRadiusInput: '6px',
  borderRadiusAlert: '8px',
  borderRadiusFlashbar: '8px',
  borderRadiusBadge: '4px',
  borderRadiusTiles: '8px',
  borderRadiusDropdown: '6px',
  borderWidthButton: '1px',
};

// A token that this version of the components does not have is left out.
const known = JSON.stringify(preset);
const used = Object.fromEntries(Object.entries(tokens).filter(([name]) => known.includes(`"${name}"`)));
mkdirSync('.build', { recursive: true });
writeFileSync('.build/theme.css', generateThemeStylesheet({ override: { tokens: used } as never, preset: preset as never }));
