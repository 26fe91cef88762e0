"""Our client and meter against peers we did not write: gurux-dlms and dlms-cosem, as libraries."""
