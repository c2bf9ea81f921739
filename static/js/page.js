// What every page has: fonts, tokens, components, and the theme. Loaded blocking, before the first paint; keep it tiny.
import "@fontsource-variable/inter/opsz.css";
import "@fontsource-variable/inter/opsz-italic.css";
import "@fontsource-variable/jetbrains-mono/index.css";
import "../css/tokens.css";
import "../css/look.css";
import "../css/account.css";
import "../css/home.css";
import "./theme.js";
