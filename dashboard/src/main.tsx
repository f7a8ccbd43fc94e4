import './style.css';
import '../.build/theme.css';
import { createRoot } from 'react-dom/client';
import { App } from './app';

const mode = document.documentElement.dataset.mode;
document.body.classList.toggle('awsui-dark-mode', mode === 'dark');
createRoot(document.getElementById('app')!).render(<App />);
