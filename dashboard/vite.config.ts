import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  base: '/dashboard/',
  plugins: [react()],
  build: { outDir: '.build/site', emptyOutDir: true, assetsInlineLimit: 0, chunkSizeWarningLimit: 1500, modulePreload: { polyfill: false }, rolldownOptions: { input: ['index.html', 'console.html'] } },
  server: { proxy: { '/dashboard/api': 'http://127.0.0.1:8774', '/dashboard/v1': 'http://127.0.0.1:8774' } },
  test: { include: ['src/**/*.test.ts'] },
});
