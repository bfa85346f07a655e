"""The entry page: look, navigation, and the page that was asked for."""

from pathlib import Path

import streamlit as st

from app.views import calls, data, incidents, inventory, kpis, posture, quality, reconciliation, spend

STATIC = Path(__file__).with_name("static")

st.set_page_config(page_title="Spanledger", page_icon=str(STATIC / "favicon.svg"), layout="wide", initial_sidebar_state=216)
st.logo(str(STATIC / "logo.svg"), size="large")
st.navigation(
    {
        "Overview": [st.Page(posture.page, title="Posture", url_path="posture", icon=":material/space_dashboard:", default=True)],
        "Cost": [
            st.Page(spend.page, title="Spend", url_path="spend", icon=":material/payments:"),
            st.Page(reconciliation.page, title="Reconciliation", url_path="reconciliation", icon=":material/balance:"),
        ],
        "Quality and risk": [
            st.Page(kpis.page, title="KPIs", url_path="kpis", icon=":material/target:"),
            st.Page(quality.page, title="Quality & drift", url_path="quality", icon=":material/waves:"),
            st.Page(incidents.page, title="Incidents", url_path="incidents", icon=":material/crisis_alert:"),
            st.Page(inventory.page, title="Inventory", url_path="inventory", icon=":material/inventory_2:"),
        ],
        "Operations": [
            st.Page(data.page, title="Data", url_path="data", icon=":material/database:"),
            st.Page(calls.page, title="Calls", url_path="calls", icon=":material/receipt_long:"),
        ],
    }
).run()
