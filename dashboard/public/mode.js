// Before anything is drawn, so that a dark page does not flash white.
(function () {
  var kept = localStorage.getItem('nephos-mode');
  var dark = kept ? kept === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.dataset.mode = dark ? 'dark' : 'light';
})();
